"""API v1.1.0: the documented endpoints and answers, pure functions of the world and one request."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from airflow_provider_bitscale.emulator import errors, seed
from airflow_provider_bitscale.emulator.contracts.base import ServedContract
from airflow_provider_bitscale.emulator.fake_values import draw
from airflow_provider_bitscale.emulator.rate_limit import HEADERS
from airflow_provider_bitscale.emulator.routing import ApiRequest, Endpoint, Result
from airflow_provider_bitscale.emulator.runs import QUEUED, Run, timestamp
from airflow_provider_bitscale.emulator.settings import V1_1_0
from airflow_provider_bitscale.emulator.state import World
from airflow_provider_bitscale.emulator.validation import ASYNC, parse_run_request


def get_current_user(call: ApiRequest) -> Result:
    """Endpoint 1."""
    return dict(seed.USER)


def list_workspaces(call: ApiRequest) -> Result:
    """Endpoint 2: only workspaces the user is a member of."""
    workspaces = [
        _workspace_summary(workspace)
        for workspace in call.world.workspaces.values()
        if workspace.role is not None
    ]
    return {"workspaces": workspaces, "total": len(workspaces)}


def get_workspace(call: ApiRequest) -> Result:
    """Endpoint 3."""
    workspace = _workspace(call, call.params["workspace_id"])
    return _workspace_document(workspace, call.world.credits(workspace.id, call.now))


def list_grids(call: ApiRequest) -> Result:
    """Endpoint 4: the header's workspace must be the path's."""
    workspace = _context(call)
    if _workspace(call, call.params["workspace_id"]) is not workspace:
        raise errors.ApiError(
            400, errors.INVALID_REQUEST, "the workspace-id header and the path name two different workspaces"
        )
    wanted = parse_qs(call.query).get("search", [""])[0].casefold()
    grids = [
        _grid_summary(grid)
        for grid in call.world.grids.values()
        if grid.workspace_id == workspace.id and wanted in grid.name.casefold()
    ]
    return {"grids": grids, "total": len(grids)}


def get_grid(call: ApiRequest) -> Result:
    """Endpoint 5."""
    return _grid_document(_grid(call))


def run_grid(call: ApiRequest) -> Result:
    """Endpoint 6: accept a run."""
    grid = _grid(call)
    request = parse_run_request(grid, call.headers.get("content-type"), call.body)
    return call.world.accept(grid, request, call.now, call.draw_script)


def get_run(call: ApiRequest) -> Result:
    """Endpoint 6, "Polling for Results"; a run is found under its own grid only."""
    grid = _grid(call)
    run = call.world.poll(call.params["run_id"], call.now, grid.id)
    if run is None:
        raise errors.ApiError(404, errors.RUN_NOT_FOUND, f"grid {grid.id} has no run {call.params['run_id']}")
    return poll_answer(run, call.now)


def poll_answer(run: Run, now: float) -> dict[str, Any]:
    """Return the answer to a poll at ``now`` ("Polling for Results"), fields as they become true."""
    answer: dict[str, Any] = {"run_id": run.run_id, "status": run.status(now), **_result(run, now)}
    if now >= run.starts_at:
        answer["started_at"] = timestamp(run.starts_at)
    if run.ends_at is not None and now >= run.ends_at:
        answer["completed_at"] = timestamp(run.ends_at)
    return answer


def webhook_payload(run: Run, now: float) -> dict[str, Any]:
    """Return the poll answer with the grid's id ("Webhook Payload Example")."""
    answer = poll_answer(run, now)
    return {"run_id": answer.pop("run_id"), "grid_id": run.grid_id, **answer}


def sync_answer(run: Run, now: float) -> dict[str, Any]:
    """Return the answer to a sync request whose run has ended at ``now`` ("Synchronous Response")."""
    return {"mode": run.request.mode, "status": run.status(now), **_result(run, now)}


def _result(run: Run, now: float) -> dict[str, Any]:
    if not run.ended(now):
        return {}
    if run.failure is not None:
        return errors.error_body(errors.RUN_FAILED, run.failure)
    return {"outputs": run.outputs, "credits": {"consumed": run.cost, "remaining": run.remaining}}


def _answer_run(_world: World, run: Run, base_url: str, now: float) -> dict[str, Any]:
    if run.request.mode != ASYNC:
        return sync_answer(run, now)
    # "Asynchronous Response" says queued, whatever the run's status.
    return {
        "mode": run.request.mode,
        "run_id": run.run_id,
        "status": QUEUED,
        "poll_url": f"{base_url}/grids/{run.grid_id}/runs/{run.run_id}",
    }


def _workspace_summary(workspace: seed.Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "role": workspace.role,
        "member_count": workspace.members,
        "created_at": workspace.created_at,
    }


def _workspace_document(workspace: seed.Workspace, credits: dict[str, int]) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "created_at": workspace.created_at,
        "created_by": {name: seed.USER[name] for name in ("id", "name", "email")},
        "plan": {
            "name": workspace.plan,
            "credits_included": workspace.credits_included,
            "renewal_date": seed.RENEWAL_DATE,
        },
        "credits": credits,
        "members": {"total": workspace.members, "admins": workspace.admins},
    }


def _grid_summary(grid: seed.Grid) -> dict[str, Any]:
    return {
        "id": grid.id,
        "name": grid.name,
        "description": grid.description,
        "row_count": grid.row_count,
        "column_count": len(grid.columns),
        "created_at": grid.created_at,
        "updated_at": grid.updated_at,
    }


def _grid_document(grid: seed.Grid) -> dict[str, Any]:
    return {
        "id": grid.id,
        "name": grid.name,
        "description": grid.description,
        "settings": {"row_limit": 5000, "auto_run": False, "visibility": "workspace"},
        "columns": [_column_document(column) for column in grid.columns],
        "row_count": grid.row_count,
        "created_at": grid.created_at,
        "updated_at": grid.updated_at,
    }


def _column_document(column: seed.Column) -> dict[str, Any]:
    return {
        "id": column.id,
        "name": column.name,
        "type": column.type,
        "is_input": column.is_input,
        "is_output": column.is_output,
        "required": column.required,
    }


def _workspace(call: ApiRequest, workspace_id: str) -> seed.Workspace:
    workspace = call.world.workspaces.get(workspace_id)
    if workspace is None:
        raise errors.ApiError(404, errors.WORKSPACE_NOT_FOUND, f"there is no workspace {workspace_id}")
    if workspace.role is None:
        raise errors.ApiError(403, errors.FORBIDDEN, f"you are not a member of workspace {workspace_id}")
    return workspace


def _context(call: ApiRequest) -> seed.Workspace:
    workspace_id = call.headers.get("workspace-id")
    if not workspace_id:
        raise errors.ApiError(400, errors.MISSING_REQUIRED_FIELD, "the workspace-id header is required")
    return _workspace(call, workspace_id)


def _grid(call: ApiRequest) -> seed.Grid:
    workspace = _context(call)
    grid = call.world.grids.get(call.params["grid_id"])
    # Another workspace's grid is answered like one that does not exist, so ids cannot be probed.
    if grid is None or grid.workspace_id != workspace.id:
        raise errors.ApiError(
            404, errors.GRID_NOT_FOUND, f"workspace {workspace.id} has no grid {call.params['grid_id']}"
        )
    return grid


def run_id(seed: int, ordinal: int) -> str:
    """Return the id of a run in the form of the document's ``run_xyz789``."""
    return f"run_{draw(seed, 'run', ordinal):016x}"


CONTRACT = ServedContract(
    name=V1_1_0,
    endpoints=(
        Endpoint("get_current_user", "GET", "/user/me", get_current_user),
        Endpoint("list_workspaces", "GET", "/workspaces", list_workspaces),
        Endpoint("get_workspace", "GET", "/workspaces/{workspace_id}", get_workspace),
        Endpoint("list_grids", "GET", "/workspaces/{workspace_id}/grids", list_grids),
        Endpoint("get_grid", "GET", "/grids/{grid_id}", get_grid),
        Endpoint("run_grid", "POST", "/grids/{grid_id}/run", run_grid),
        Endpoint("get_run", "GET", "/grids/{grid_id}/runs/{run_id}", get_run),
    ),
    key_header="api_key",
    key_after=lambda _rotations, _seed: seed.API_KEY,
    connection_extra={"workspace_id": seed.WORKSPACE_ID},
    run_id=run_id,
    answer_run=_answer_run,
    rate_limit_hints=HEADERS,
    bounded_sync=False,
    blank_misses=False,
    null_until_true=("outputs", "credits", "error", "started_at", "completed_at"),
)

"""The contract with workspace keys: pure functions of the world and one request.

One key per workspace, inputs by label, runs found by request id, no credits in answers. Little of it is
documented; the rest is the worst case for a client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from airflow_provider_bitscale.emulator import errors
from airflow_provider_bitscale.emulator.contracts import workspace_key_documents as documents
from airflow_provider_bitscale.emulator.contracts.base import ServedContract
from airflow_provider_bitscale.emulator.fake_values import draw
from airflow_provider_bitscale.emulator.rate_limit import NOTHING
from airflow_provider_bitscale.emulator.routing import ApiRequest, Endpoint, Result
from airflow_provider_bitscale.emulator.seed import WORKSPACE_ID, WORKSPACE_KEY, Column, Grid
from airflow_provider_bitscale.emulator.settings import WITH_WORKSPACE_KEYS
from airflow_provider_bitscale.emulator.validation import SYNC, parse_labelled_run_request

_PAGE_SIZE = 20
_LARGEST_PAGE = 100
_WHOLE_NUMBER = re.compile(r"0*[1-9][0-9]{0,17}")


def get_workspace(call: ApiRequest) -> Result:
    """Answer with the key's workspace and its credits."""
    workspace = call.world.workspaces[WORKSPACE_ID]
    return documents.workspace_document(workspace, call.world.credits(WORKSPACE_ID, call.now))


def list_grids(call: ApiRequest) -> Result:
    """Answer with one page of the workspace's grids, each with the columns that can run."""
    query = parse_qs(call.query, keep_blank_values=True)
    wanted = query.get("search", [""])[0].casefold()
    page = _whole_number(query, "page", 1)
    limit = min(_whole_number(query, "limit", _PAGE_SIZE), _LARGEST_PAGE)
    grids = [
        grid
        for grid in call.world.grids.values()
        if grid.workspace_id == WORKSPACE_ID and wanted in grid.name.casefold()
    ]
    shown = grids[(page - 1) * limit : page * limit]
    return {
        "grids": [documents.grid_summary(call.world, grid) for grid in shown],
        "total": len(grids),
        "page": page,
        "limit": limit,
    }


def get_grid(call: ApiRequest) -> Result:
    """Answer with one grid: settings, all columns, sources."""
    return documents.grid_document(call.world, _grid(call))


def get_run_recipe(call: ApiRequest) -> Result:
    """Answer with how to run a grid: the only way to learn the labels of its inputs."""
    grid = _runnable_grid(call)
    asked = parse_qs(call.query).get("output_columns")
    wanted = documents.runnable_columns(grid) if asked is None else _columns_named(grid, asked[0].split(","))
    needed = {column.id for column in wanted if column.is_input}
    needed.update(*(column.dependencies for column in wanted))
    run_url = f"{call.base_url}/grids/{grid.id}/run"
    headers = {"X-API-KEY": "YOUR_WORKSPACE_API_KEY", "Content-Type": "application/json"}
    body: dict[str, Any] = {
        "mode": SYNC,
        "inputs": {label: f"<{label}>" for label, column_id in grid.labels.items() if column_id in needed},
    }
    if asked is not None:
        body["output_columns"] = [column.id for column in wanted]
    return {
        "grid_id": grid.id,
        "grid_name": grid.name,
        "run_url": run_url,
        "method": "POST",
        "headers": headers,
        "request_body": body,
        "output_columns": [documents.column_document(column) for column in wanted],
        "curl": documents.curl(run_url, headers, body),
    }


def run_grid(call: ApiRequest) -> Result:
    """Accept a run, which appends a row to the grid."""
    grid = _runnable_grid(call)
    request = parse_labelled_run_request(grid, call.headers.get("content-type"), call.body)
    return call.world.accept(grid, request, call.now, call.draw_script)


def get_run(call: ApiRequest) -> Result:
    """Answer a poll."""
    run = call.world.poll(call.params["run_id"], call.now)
    if run is None:
        raise errors.ApiError(404, errors.RUN_NOT_FOUND, f"there is no run {call.params['run_id']}")
    return {**documents.run_document(call.world, run, call.now), "grid_id": run.grid_id}


def rotate_api_key(call: ApiRequest) -> Result:
    """Replace the key; the one of this request is refused from now on."""
    call.world.key_rotations += 1
    return {"api_key": key_after(call.world.key_rotations, call.world.seed)}


def key_after(rotations: int, seed: int = 0) -> str:
    """Return the key that is valid once the first one has been rotated ``rotations`` times."""
    if rotations == 0:
        return WORKSPACE_KEY
    return f"sk-live-bitscale-emulator-rotated-{draw(seed, 'key', rotations):016x}"


def request_id(seed: int, ordinal: int) -> str:
    """Return the id of the run accepted as number ``ordinal``, a UUID."""
    number = draw(seed, "request", ordinal) << 64 | draw(seed, "request", ordinal, "low")
    return str(UUID(int=number, version=4))


def _grid(call: ApiRequest) -> Grid:
    grid = call.world.grids.get(call.params["grid_id"])
    if grid is None or grid.workspace_id != WORKSPACE_ID:
        raise errors.ApiError(
            404, errors.GRID_NOT_FOUND, f"the workspace has no grid {call.params['grid_id']}"
        )
    return grid


def _runnable_grid(call: ApiRequest) -> Grid:
    grid = _grid(call)
    if grid.source_id is None:
        raise errors.ApiError(400, errors.MISSING_SOURCE, f"grid {grid.id} has no BitScale API data source")
    return grid


def _whole_number(query: Mapping[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not _WHOLE_NUMBER.fullmatch(text):
        raise errors.ApiError(400, errors.INVALID_REQUEST, f"{name} must be a whole number >= 1")
    return int(text)


def _columns_named(grid: Grid, column_ids: Iterable[str]) -> list[Column]:
    columns = []
    for column_id in column_ids:
        if column_id not in grid.by_id:
            raise errors.ApiError(400, errors.UNKNOWN_COLUMN, f"grid {grid.id} has no column {column_id}")
        columns.append(grid.by_id[column_id])
    return columns


CONTRACT = ServedContract(
    name=WITH_WORKSPACE_KEYS,
    endpoints=(
        Endpoint("get_workspace", "GET", "/workspace", get_workspace),
        Endpoint("list_grids", "GET", "/grids", list_grids),
        Endpoint("get_grid", "GET", "/grids/{grid_id}", get_grid),
        Endpoint("get_run_recipe", "GET", "/grids/{grid_id}/curl", get_run_recipe),
        Endpoint("run_grid", "POST", "/grids/{grid_id}/run", run_grid),
        Endpoint("get_run", "GET", "/run/status/{run_id}", get_run),
        Endpoint("rotate_api_key", "POST", "/api-key/rotate", rotate_api_key),
    ),
    key_header="X-API-KEY",
    key_after=key_after,
    connection_extra={"api_contract": WITH_WORKSPACE_KEYS},
    run_id=request_id,
    answer_run=documents.answer_run,
    rate_limit_hints=NOTHING,
    bounded_sync=True,
    blank_misses=True,
    null_until_true=("outputs", "message"),
)

"""The documented endpoints of API v1.1.0 as pure functions of the world, one request and the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from airflow_provider_bitscale.emulator.errors import (
    FORBIDDEN,
    GRID_NOT_FOUND,
    INVALID_API_KEY,
    INVALID_REQUEST,
    METHOD_NOT_ALLOWED,
    MISSING_REQUIRED_FIELD,
    NOT_FOUND,
    RUN_NOT_FOUND,
    WORKSPACE_NOT_FOUND,
    ApiError,
)
from airflow_provider_bitscale.emulator.seed import API_KEY, USER, Grid, Workspace
from airflow_provider_bitscale.emulator.state import Fate, Run, World
from airflow_provider_bitscale.emulator.validation import parse_run_request

BASE_PATH = "/api/v1"


@dataclass(frozen=True)
class Call:
    """One request: the ``params`` of its path, header names in lower case, the raw query and body.

    ``fate`` is asked how the run shall end once a run is sure to be accepted.
    """

    world: World
    params: Mapping[str, str]
    headers: Mapping[str, str]
    query: str
    body: bytes
    now: float
    fate: Callable[[], Fate]


Result = dict[str, Any] | Run
"""The document to answer with, or the run that was just accepted."""


@dataclass(frozen=True)
class Endpoint:
    """One row of the document's endpoint table; ``{name}`` in the path stands for a parameter."""

    name: str
    method: str
    path: str
    handle: Callable[[Call], Result]


def get_current_user(call: Call) -> Result:
    """Endpoint 1."""
    _require_key(call)
    return dict(USER)


def list_workspaces(call: Call) -> Result:
    """Endpoint 2: only workspaces the user is a member of."""
    _require_key(call)
    workspaces = [
        workspace.summary() for workspace in call.world.workspaces.values() if workspace.role is not None
    ]
    return {"workspaces": workspaces, "total": len(workspaces)}


def get_workspace(call: Call) -> Result:
    """Endpoint 3."""
    _require_key(call)
    workspace = _workspace(call, call.params["workspace_id"])
    return workspace.document(call.world.credits(workspace.id, call.now))


def list_grids(call: Call) -> Result:
    """Endpoint 4: the header's workspace must be the path's."""
    workspace = _context(call)
    if _workspace(call, call.params["workspace_id"]) is not workspace:
        raise ApiError(
            400, INVALID_REQUEST, "the workspace-id header and the path name two different workspaces"
        )
    wanted = parse_qs(call.query).get("search", [""])[0].casefold()
    grids = [
        grid.summary()
        for grid in call.world.grids.values()
        if grid.workspace_id == workspace.id and wanted in grid.name.casefold()
    ]
    return {"grids": grids, "total": len(grids)}


def get_grid(call: Call) -> Result:
    """Endpoint 5."""
    return _grid(call).document()


def run_grid(call: Call) -> Result:
    """Endpoint 6: accept a run."""
    grid = _grid(call)
    request = parse_run_request(grid, call.headers.get("content-type"), call.body)
    return call.world.accept(grid, request, call.now, call.fate)


def get_run(call: Call) -> Result:
    """Endpoint 6, "Polling for Results"; a run is found under its own grid only."""
    grid = _grid(call)
    run = call.world.runs.get(call.params["run_id"])
    if run is None or run.grid_id != grid.id:
        raise ApiError(404, RUN_NOT_FOUND, f"grid {grid.id} has no run {call.params['run_id']}")
    run.polls += 1
    return run.poll_answer(call.now)


_ENDPOINTS = (
    Endpoint("get_current_user", "GET", "/user/me", get_current_user),
    Endpoint("list_workspaces", "GET", "/workspaces", list_workspaces),
    Endpoint("get_workspace", "GET", "/workspaces/{workspace_id}", get_workspace),
    Endpoint("list_grids", "GET", "/workspaces/{workspace_id}/grids", list_grids),
    Endpoint("get_grid", "GET", "/grids/{grid_id}", get_grid),
    Endpoint("run_grid", "POST", "/grids/{grid_id}/run", run_grid),
    Endpoint("get_run", "GET", "/grids/{grid_id}/runs/{run_id}", get_run),
)
_BY_LENGTH: dict[int, list[tuple[Endpoint, list[str]]]] = {}
for _endpoint in _ENDPOINTS:
    _template = (BASE_PATH + _endpoint.path).split("/")
    _BY_LENGTH.setdefault(len(_template), []).append((_endpoint, _template))


def find_endpoint(method: str, raw_path: str) -> tuple[Endpoint, dict[str, str]]:
    """Return the endpoint of a request and its path parameters, percent-decoded one segment at a time.

    ``raw_path`` is the path as received, so an id with an encoded slash stays one segment.
    Raises ``ApiError`` 404 for a path the API has not and 405 for a method the path has not.
    """
    segments = raw_path.split("/")
    known_path = False
    for endpoint, template in _BY_LENGTH.get(len(segments), ()):
        params = _match(template, segments)
        if params is None:
            continue
        if endpoint.method == method:
            return endpoint, params
        known_path = True
    if known_path:
        raise ApiError(405, METHOD_NOT_ALLOWED, f"{method} is not allowed on {raw_path}")
    raise ApiError(404, NOT_FOUND, f"there is no {raw_path} in this API")


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    params = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            if not segment:
                return None
            params[wanted[1:-1]] = unquote(segment)
        elif wanted != segment:
            return None
    return params


def _require_key(call: Call) -> None:
    if call.headers.get("api_key") != API_KEY:
        raise ApiError(401, INVALID_API_KEY, "the api_key header is missing or wrong")


def _workspace(call: Call, workspace_id: str) -> Workspace:
    workspace = call.world.workspaces.get(workspace_id)
    if workspace is None:
        raise ApiError(404, WORKSPACE_NOT_FOUND, f"there is no workspace {workspace_id}")
    if workspace.role is None:
        raise ApiError(403, FORBIDDEN, f"you are no member of workspace {workspace_id}")
    return workspace


def _context(call: Call) -> Workspace:
    """Check the two headers most endpoints require and return the workspace they name."""
    _require_key(call)
    workspace_id = call.headers.get("workspace-id")
    if not workspace_id:
        raise ApiError(400, MISSING_REQUIRED_FIELD, "the workspace-id header is required")
    return _workspace(call, workspace_id)


def _grid(call: Call) -> Grid:
    workspace = _context(call)
    grid = call.world.grids.get(call.params["grid_id"])
    # Another workspace's grid is answered like one that does not exist, so ids cannot be probed.
    if grid is None or grid.workspace_id != workspace.id:
        raise ApiError(404, GRID_NOT_FOUND, f"workspace {workspace.id} has no grid {call.params['grid_id']}")
    return grid

"""The endpoints of API v1.1.0 as data: method, path, headers, whether safe to repeat, and how to read them.

Pure: a call is prepared from a configuration, an answer is read to a record or an error. The two clients
only send.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_bitscale import __version__
from airflow_provider_bitscale.api import models, parsing
from airflow_provider_bitscale.api.config import ClientConfig, fits_header
from airflow_provider_bitscale.api.errors import (
    ConfigurationError,
    InvalidRequestError,
    TransportError,
    from_response,
)

T = TypeVar("T")

# A synchronous run is answered when it has ended, which takes minutes at times.
SYNC_RUN_TIMEOUT = 900.0
_USER_AGENT = f"airflow-provider-bitscale/{__version__}"


@dataclass(frozen=True)
class Endpoint(Generic[T]):
    """One endpoint of the document.

    :param needs_workspace: whether the ``workspace-id`` header is required.
    :param repeatable: whether a request may be processed twice without harm.
    :param parse: reads the JSON of a successful answer; raises ValueError where it is not as documented.
    """

    method: str
    path: str
    needs_workspace: bool
    repeatable: bool
    parse: Callable[[Any], T]


def _parse_accepted_run(payload: Any) -> models.Run:
    """Read the answer to a POST that was paid for: whatever names the run or holds its result is enough."""
    if isinstance(payload, Mapping) and payload.get("run_id") not in (None, "", False):
        accepted = {**payload, "run_id": str(payload["run_id"])}
        return parsing.parse_run({**accepted, "status": accepted.get("status") or "unknown"})
    run = parsing.parse_run(payload)
    if run.mode != "sync" and not run.status.is_terminal:
        raise ValueError("'run_id' is missing")
    return run


def _endpoint(
    method: str, path: str, parse: Callable[[Any], T], *, workspace: bool = False, repeatable: bool = True
) -> Endpoint[T]:
    return Endpoint(method, path, workspace, repeatable, parse)


GET_CURRENT_USER = _endpoint("GET", "/user/me", parsing.parse_user)
LIST_WORKSPACES = _endpoint("GET", "/workspaces", parsing.parse_workspaces)
GET_WORKSPACE = _endpoint("GET", "/workspaces/{workspace_id}", parsing.parse_workspace)
LIST_GRIDS = _endpoint("GET", "/workspaces/{workspace_id}/grids", parsing.parse_grids, workspace=True)
GET_GRID = _endpoint("GET", "/grids/{grid_id}", parsing.parse_grid, workspace=True)
RUN_GRID = _endpoint("POST", "/grids/{grid_id}/run", _parse_accepted_run, workspace=True, repeatable=False)
GET_RUN = _endpoint("GET", "/grids/{grid_id}/runs/{run_id}", parsing.parse_run, workspace=True)


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call of an endpoint, ready to be sent as often as it takes.

    :param path: the path below the base URL, ids percent-quoted.
    :param label: method and path, for messages.
    :param timeout: seconds to wait for the answer; None for the configuration's.
    """

    endpoint: Endpoint[T]
    path: str
    label: str
    workspace_id: str | None = None
    body: bytes | None = None
    timeout: float | None = None

    def url(self, config: ClientConfig) -> str:
        """The URL to send to, which is on the configured host whatever the ids hold."""
        return config.base_url + self.path

    def headers(self, config: ClientConfig) -> dict[str, str]:
        """The headers to send.

        :raises ConfigurationError: the endpoint needs a workspace id and there is none.
        """
        headers = {"api_key": config.api_key, "Accept": "application/json", "User-Agent": _USER_AGENT}
        if self.endpoint.needs_workspace:
            workspace_id = workspace_or_default(self.workspace_id, config)
            if not fits_header(workspace_id):
                raise InvalidRequestError(f"{workspace_id!r} is not a workspace id", request=self.label)
            headers["workspace-id"] = workspace_id
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def read(self, config: ClientConfig, status: int, headers: Mapping[str, str], body: bytes) -> T:
        """Turn an answer into the record it holds.

        :raises BitScaleError: the error it stands for. A success that is not as documented is a
            TransportError: nothing is known of what happened.
        """
        body = config.scrub(body)
        error = from_response(self.label, status, headers, body)
        if error is not None:
            # Once more, for what was not in the body (a redirect's Location) or was escaped in it.
            raise type(error)(**{**error.fields(), "message": config.scrub_text(error.message)})
        try:
            return self.endpoint.parse(json.loads(body))
        except (ValueError, RecursionError) as problem:
            raise TransportError(
                f"the answer is not as documented: {problem}", status=status, request=self.label
            ) from None


class Reader(Generic[T]):
    """Reads the answers to a call that is sent over and over; one like the last is not parsed again.

    A run that is polled answers the same until its status changes.
    """

    def __init__(self, call: Call[T], config: ClientConfig) -> None:
        self._call = call
        self._config = config
        self._last: tuple[int, bytes, T] | None = None

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> T:
        """As :meth:`Call.read`."""
        if self._last is None or self._last[0] != status or self._last[1] != body:
            self._last = (status, body, self._call.read(self._config, status, headers, body))
        return self._last[2]


def get_current_user() -> Call[models.User]:
    """Endpoint 1, Get Current User."""
    return _call(GET_CURRENT_USER)


def list_workspaces() -> Call[list[models.Workspace]]:
    """Endpoint 2, List Workspaces."""
    return _call(LIST_WORKSPACES)


def get_workspace(workspace_id: str) -> Call[models.Workspace]:
    """Endpoint 3, Get Workspace Details."""
    return _call(GET_WORKSPACE, workspace_id=workspace_id)


def list_grids(workspace_id: str, search: str | None = None) -> Call[list[models.Grid]]:
    """Endpoint 4, List Grids in a Workspace."""
    call = _call(LIST_GRIDS, workspace_id=workspace_id)
    try:
        path = f"{call.path}?{urlencode({'search': search})}" if search is not None else call.path
    except UnicodeEncodeError:
        raise InvalidRequestError(f"search is not text: {search!r}") from None
    return replace(call, path=path, workspace_id=workspace_id)


def get_grid(grid_id: str) -> Call[models.Grid]:
    """Endpoint 5, Get Grid Details."""
    return _call(GET_GRID, grid_id=grid_id)


def run_grid(
    grid_id: str,
    inputs: Mapping[str, Any],
    *,
    mode: str,
    output_columns: Sequence[str] | None,
    webhook_url: str | None,
    timeout: float | None,
) -> Call[models.Run]:
    """Endpoint 6, Run a Grid; keys of ``inputs`` and ``output_columns`` are column ids.

    :raises InvalidRequestError: the inputs are not a JSON object.
    """
    if not isinstance(inputs, Mapping):
        raise InvalidRequestError(f"inputs must map column ids to values, not {type(inputs).__name__}")
    request: dict[str, Any] = {"mode": mode, "inputs": dict(inputs)}
    if output_columns is not None:
        request["output_columns"] = list(output_columns)
    if webhook_url is not None:
        request["webhook_url"] = webhook_url
    try:
        body = json.dumps(request, allow_nan=False).encode()
    except (TypeError, ValueError) as problem:
        raise InvalidRequestError(f"the inputs are not JSON: {problem}") from None
    if timeout is None and mode == "sync":
        timeout = SYNC_RUN_TIMEOUT
    return replace(_call(RUN_GRID, grid_id=grid_id), body=body, timeout=timeout)


def get_run(grid_id: str, run_id: str) -> Call[models.Run]:
    """Endpoint 6, Polling for Results."""
    return _call(GET_RUN, grid_id=grid_id, run_id=run_id)


def _call(endpoint: Endpoint[T], **ids: str) -> Call[T]:
    path = endpoint.path.format(**{name: _quoted(name, value) for name, value in ids.items()})
    return Call(endpoint, path, f"{endpoint.method} {path}")


def _quoted(name: str, value: str) -> str:
    # Dots alone are path segments of their own even when quoted: HTTP libraries resolve them.
    if not isinstance(value, str) or not value.strip() or value.strip(".") == "":
        raise InvalidRequestError(f"{name} must be a non-empty id, not {value!r}")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{name} is not text: {value!r}") from None


def workspace_or_default(workspace_id: str | None, config: ClientConfig) -> str:
    """The workspace id given, else the configuration's.

    :raises ConfigurationError: there is neither.
    """
    workspace_id = config.workspace_id if workspace_id is None else workspace_id
    if workspace_id is None:
        raise ConfigurationError("a workspace id is needed here, and workspace_id is not set")
    return workspace_id

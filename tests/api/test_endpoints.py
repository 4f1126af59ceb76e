"""Every endpoint over a socket, with both clients: the exact request on the wire, and the record it gives."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_bitscale import __version__
from airflow_provider_bitscale.api import (
    AuthenticationError,
    BitScaleError,
    ConfigurationError,
    Credits,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    Run,
    RunStatus,
    ServerError,
)
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.request_log import masked
from airflow_provider_bitscale.emulator.seed import COMPANY, ENRICHED_EMAIL, FULL_NAME, GRID_ID
from tests.support.clients import Caller, Opener, config_for

JANE = {FULL_NAME: "Jane Doe", COMPANY: "Acme — Görlitz"}

# Method of the client, its arguments, then method, path below /api/v1, whether a workspace is sent, body.
WIRE: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], str, str, bool, Any]] = {
    "1": ("get_current_user", (), {}, "GET", "/user/me", False, None),
    "2": ("list_workspaces", (), {}, "GET", "/workspaces", False, None),
    "3 default": ("get_workspace", (), {}, "GET", "/workspaces/ws_abc123", False, None),
    "3 given": ("get_workspace", ("ws_def456",), {}, "GET", "/workspaces/ws_def456", False, None),
    "4": ("list_grids", (), {}, "GET", "/workspaces/ws_abc123/grids", True, None),
    "4 search": (
        "list_grids",
        ("Lead & Co #1/é",),
        {},
        "GET",
        "/workspaces/ws_abc123/grids?search=Lead+%26+Co+%231%2F%C3%A9",
        True,
        None,
    ),
    "5": ("get_grid", (GRID_ID,), {}, "GET", "/grids/grid_001", True, None),
    "6 async": (
        "run_grid",
        (GRID_ID, JANE),
        {},
        "POST",
        "/grids/grid_001/run",
        True,
        {"mode": "async", "inputs": JANE},
    ),
    "6 sync": (
        "run_grid",
        (GRID_ID, JANE),
        {"mode": "sync", "output_columns": [ENRICHED_EMAIL]},
        "POST",
        "/grids/grid_001/run",
        True,
        {"mode": "sync", "inputs": JANE, "output_columns": [ENRICHED_EMAIL]},
    ),
    "6 webhook": (
        "run_grid",
        (GRID_ID, JANE),
        {"webhook_url": "https://hooks.example.com/b?x=1"},
        "POST",
        "/grids/grid_001/run",
        True,
        {"mode": "async", "inputs": JANE, "webhook_url": "https://hooks.example.com/b?x=1"},
    ),
    "6 poll": ("get_run", (GRID_ID, "run_nope"), {}, "GET", "/grids/grid_001/runs/run_nope", True, None),
}


@pytest.mark.parametrize(
    ("method", "arguments", "options", "verb", "path", "workspace", "body"), WIRE.values(), ids=WIRE.keys()
)
def test_the_exact_request(
    client: Caller,
    emulator: Emulator,
    method: str,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    verb: str,
    path: str,
    workspace: bool,
    body: Any,
) -> None:
    try:
        client(method, *arguments, **options)
    except NotFoundError:
        assert "nope" in path
    (request,) = emulator.control.requests()
    headers = dict(request["headers"])
    assert len(headers) == len(request["headers"]), "no header twice"
    assert (request["method"], request["path"]) == (verb, "/api/v1" + path)
    assert headers["api_key"] == masked(emulator.api_key)
    assert headers.get("workspace-id") == (emulator.workspace_id if workspace else None)
    assert headers.get("content-type") == ("application/json" if body else None)
    assert headers["accept"] == "application/json"
    assert headers["user-agent"] == f"airflow-provider-bitscale/{__version__}"
    assert set(headers) - {"api_key", "workspace-id", "content-type", "accept", "user-agent"} <= {
        "host",
        "connection",
        "accept-encoding",
        "content-length",
    }
    if body is None:
        assert request["body"] in ("", None)
    else:
        sent = request["body"] if isinstance(request["body"], dict) else json.loads(request["body"])
        assert sent == body


def test_the_workspace_given_is_sent(client: Caller, emulator: Emulator) -> None:
    (grid,) = client("list_grids", workspace_id="ws_def456")
    assert grid.name == "Event Attendees"
    (request,) = emulator.control.requests()
    assert request["path"] == "/api/v1/workspaces/ws_def456/grids"
    assert dict(request["headers"])["workspace-id"] == "ws_def456"


def test_what_the_account_endpoints_give(client: Caller) -> None:
    user = client("get_current_user")
    assert (user.id, user.name, user.plan, user.created_at.isoformat()) == (
        "usr_abc123",
        "Jane Doe",
        "enterprise",
        "2024-01-15T08:30:00+00:00",
    )
    assert [(w.id, w.role, w.members.total) for w in client("list_workspaces")] == [
        ("ws_abc123", "admin", 12),
        ("ws_def456", "member", 5),
    ]
    workspace = client("get_workspace")
    assert workspace.credits == Credits(100_000, 34_200, 65_800)
    assert (workspace.plan.name, workspace.created_by.id, workspace.members.admins) == (
        "Enterprise",
        "usr_abc123",
        2,
    )


def test_what_the_grid_endpoints_give(client: Caller) -> None:
    assert [grid.id for grid in client("list_grids")] == ["grid_001", "grid_002"]
    assert [grid.name for grid in client("list_grids", "lead")] == ["Lead Enrichment — Q1"]
    assert client("list_grids", "no such") == []
    grid = client("get_grid", GRID_ID)
    assert (grid.id, grid.settings.row_limit, len(grid.columns)) == ("grid_001", 5000, 10)
    assert [column.name for column in grid.columns if column.required] == ["Full Name"]


def finished(client: Caller, run: Run) -> Run:
    until = time.monotonic() + 10
    while not run.status.is_terminal:
        assert time.monotonic() < until
        time.sleep(0.02)
        run = client("get_run", GRID_ID, run.run_id)
    return run


def test_an_async_run_from_acceptance_to_outputs(client: Caller, emulator: Emulator) -> None:
    accepted = client("run_grid", GRID_ID, JANE, output_columns=[ENRICHED_EMAIL])
    assert (accepted.mode, accepted.status, accepted.outputs) == ("async", RunStatus.QUEUED, None)
    run = finished(client, accepted)
    assert (run.run_id, run.status) == (accepted.run_id, RunStatus.COMPLETED)
    assert list(run.outputs or {}) == [ENRICHED_EMAIL]
    assert run.credits is not None
    assert run.credits.remaining == 65_800 - (run.credits.consumed or 0)
    assert run.started_at is not None
    assert run.completed_at is not None
    assert run.started_at.utcoffset() == run.completed_at - run.completed_at
    assert emulator.control.state()["runs_paid"] == 1


def test_a_sync_run_answers_with_its_outputs(client: Caller) -> None:
    run = client("run_grid", GRID_ID, JANE, mode="sync")
    assert (run.mode, run.status, run.run_id) == ("sync", RunStatus.COMPLETED, None)
    assert run.outputs[FULL_NAME] == "Jane Doe"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_run_that_fails_is_an_answer_and_not_an_error(
    client: Caller, emulator: Emulator, mode: str
) -> None:
    emulator.control.add_fault("run_fails", message="no such person")
    run = finished(client, client("run_grid", GRID_ID, JANE, mode=mode))
    assert (run.status, run.outputs) == (RunStatus.FAILED, None)
    assert run.error is not None
    assert "no such person" in run.error


@pytest.mark.parametrize("fault", ["null_fields", "extra_fields"])
def test_fields_that_are_null_or_new_break_nothing(client: Caller, emulator: Emulator, fault: str) -> None:
    plain = [client("get_current_user"), client("get_workspace"), client("get_grid", GRID_ID)]
    emulator.control.add_fault(fault)
    bent = [client("get_current_user"), client("get_workspace"), client("get_grid", GRID_ID)]
    assert [record.id for record in bent] == [record.id for record in plain]
    assert [column.id for column in bent[2].columns] == [column.id for column in plain[2].columns]
    run = finished(client, client("run_grid", GRID_ID, JANE))
    assert run.status is RunStatus.COMPLETED
    assert run.outputs is not None
    assert set(run.outputs) == {column.id for column in plain[2].columns}
    if fault == "null_fields":
        assert (bent[0].avatar_url, bent[2].description, run.started_at) == (None, None, None)
    else:
        assert bent[:2] == plain[:2]
        assert "a_field_of_a_later_version" in bent[0].raw


REFUSALS: dict[str, tuple[str, tuple[Any, ...], type[BitScaleError], str]] = {
    "unknown workspace": ("get_workspace", ("ws_nope",), NotFoundError, "WORKSPACE_NOT_FOUND"),
    "foreign workspace": ("get_workspace", ("ws_ghi789",), PermissionDeniedError, "FORBIDDEN"),
    "unknown grid": ("get_grid", ("grid_nope",), NotFoundError, "GRID_NOT_FOUND"),
    "grid elsewhere": ("get_grid", ("grid_003",), NotFoundError, "GRID_NOT_FOUND"),
    "unknown run": ("get_run", (GRID_ID, "run_nope"), NotFoundError, "RUN_NOT_FOUND"),
    "missing input": ("run_grid", (GRID_ID, {}), InvalidRequestError, "MISSING_REQUIRED_FIELD"),
    "wrong type": ("run_grid", (GRID_ID, {FULL_NAME: 7}), InvalidRequestError, "INVALID_COLUMN_TYPE"),
}


@pytest.mark.parametrize(("method", "arguments", "kind", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(
    client: Caller,
    emulator: Emulator,
    method: str,
    arguments: tuple[Any, ...],
    kind: type[BitScaleError],
    code: str,
) -> None:
    with pytest.raises(kind) as caught:
        client(method, *arguments)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.request is not None
    assert caught.value.request.split()[0] in ("GET", "POST")
    assert len(emulator.control.requests()) == 1, "a refusal is not sent again"


def test_a_wrong_key_is_refused(open_client: Opener, emulator: Emulator) -> None:
    client = open_client(config_for(emulator, api_key="wrong-key-123456"))
    with pytest.raises(AuthenticationError, match="INVALID_API_KEY") as caught:
        client("get_current_user")
    assert "wrong-key-123456" not in str(caught.value)
    assert caught.value.status == 401


@pytest.mark.parametrize("method", ["get_workspace", "list_grids", "get_grid", "run_grid", "get_run"])
def test_without_a_workspace_nothing_leaves_where_one_is_needed(
    open_client: Opener, emulator: Emulator, method: str
) -> None:
    client = open_client(config_for(emulator, workspace_id=None))
    arguments: dict[str, tuple[Any, ...]] = {"run_grid": ("g", {}), "get_grid": ("g",), "get_run": ("g", "r")}
    with pytest.raises(ConfigurationError, match="workspace_id"):
        client(method, *arguments.get(method, ()))
    assert emulator.control.requests() == []
    assert client("get_current_user").id == "usr_abc123"


def test_what_is_safe_to_repeat_is_sent_again(client: Caller, emulator: Emulator) -> None:
    emulator.control.add_fault("status", status=502, body="<html>Bad Gateway</html>", times=1)
    assert client("get_current_user").id == "usr_abc123"
    assert [request["status"] for request in emulator.control.requests()] == [502, 200]


def test_but_not_for_ever(client: Caller, emulator: Emulator) -> None:
    emulator.control.add_fault("status", status=503, headers={"Retry-After": "0"})
    with pytest.raises(ServerError, match="503"):
        client("get_current_user")
    assert len(emulator.control.requests()) == 4

"""The key goes to BitScale and nowhere else: to no other host, no log, no error, no repr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_bitscale.api import (
    AmbiguousSubmitError,
    BitScaleError,
    Client,
    InvalidRequestError,
    NotFoundError,
    TransportError,
)
from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL, GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.support.clients import Caller, config_for, jane, polls
from tests.support.hooks import KINDS, connect, hook_caller
from tests.support.servers import RawServer, answering, http_answer

# Everything that both contracts can be asked; a run is asked for with a row besides.
CALLS: dict[str, tuple[Any, ...]] = {
    "get_workspace": (),
    "list_grids": (),
    "get_grid": (GRID_ID,),
    "run_grid": (GRID_ID,),
    "get_run": (GRID_ID, "run_1"),
}


@pytest.fixture
def elsewhere() -> Iterator[RawServer]:
    """Another host, which would be glad of a key."""
    answer = {"id": "usr_evil", "run_id": "run_1", "status": "completed", "outputs": {}, "mode": "async"}
    with answering(http_answer(json.dumps(answer).encode())) as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("method", "arguments"), CALLS.items())
def test_a_redirect_is_an_error_and_is_not_followed(
    client: Caller,
    emulator: Emulator,
    elsewhere: RawServer,
    method: str,
    arguments: tuple[Any, ...],
    status: int,
) -> None:
    emulator.control.add_fault("redirect", on=method, location=f"{elsewhere.url}/api/v1/x", status=status)
    if method == "run_grid":
        arguments = (*arguments, jane(emulator))
    with pytest.raises(AmbiguousSubmitError if method == "run_grid" else TransportError) as caught:
        client(method, *arguments)
    assert f"{elsewhere.url}/api/v1/x" in str(caught.value)
    assert caught.value.status == status
    assert elsewhere.received == []
    redirected = [request for request in emulator.control.requests() if request["fault"]]
    assert len(redirected) == 1, "nor is it sent again"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "where", ["{elsewhere}/api/v1/grids/g/runs/r", "file:///etc/passwd", "//evil.example", ""]
)
def test_a_poll_url_is_never_followed(
    emulator: Emulator, elsewhere: RawServer, monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    connect(monkeypatch, emulator)
    emulator.control.add_fault("hostile_poll_url", url=where.format(elsewhere=elsewhere.url))
    call = hook_caller(kind)
    run = call("run_grid", GRID_ID, jane(emulator))
    done = call("wait_for_run", GRID_ID, run.run_id, poll_interval=0.05, timeout=10)
    assert done.outputs[ENRICHED_EMAIL]
    assert elsewhere.received == []
    path = {
        V1_1_0: f"/api/v1/grids/grid_001/runs/{run.run_id}",
        WORKSPACE_KEY: f"/api/v1/run/status/{run.run_id}",
    }
    assert {request["path"] for request in polls(emulator)} == {path[emulator.contract]}


IDS = [
    "a/b",
    "../../user/me",
    "/user/me",
    "..\\..\\user",
    "x?workspace-id=other",
    "x#y",
    "x%2Fy",
    "%2e%2e",
    "x\r\nHost: evil.example\r\nX-Evil: 1",
    "x y",
    "x@evil.example",
    "//evil.example/x",
    "http://evil.example/x",
    "网格é",
    "x;y=z",
    "x\x00y",
]


@pytest.mark.parametrize("hostile", IDS)
def test_no_id_changes_the_host_or_the_endpoint(client: Caller, emulator: Emulator, hostile: str) -> None:
    calls: dict[str, Any] = {f"/api/v1/grids/{hostile}": ("get_grid", hostile)}
    if emulator.contract == V1_1_0:
        calls |= {
            f"/api/v1/workspaces/{hostile}": ("get_workspace", hostile),
            f"/api/v1/grids/{hostile}/runs/run_1": ("get_run", hostile, "run_1"),
            f"/api/v1/grids/grid_001/runs/{hostile}": ("get_run", GRID_ID, hostile),
            f"/api/v1/grids/{hostile}/run": ("run_grid", hostile, jane(emulator)),
        }
    else:
        calls |= {
            f"/api/v1/run/status/{hostile}": ("get_run", GRID_ID, hostile),
            f"/api/v1/grids/{hostile}/curl": ("run_grid", hostile, jane(emulator)),
        }
    for call in calls.values():
        with pytest.raises(NotFoundError):
            client(*call)
    requests = emulator.control.requests()
    assert [unquote(request["path"]) for request in requests] == list(calls)
    for request, path in zip(requests, calls, strict=True):
        assert request["path"].count("/") == path.replace(hostile, "").count("/")
        names = [name for name, _ in request["headers"]]
        assert "x-evil" not in names
        assert dict(request["headers"])["host"] == emulator.url.removeprefix("http://")
    assert emulator.control.state()["runs_paid"] == 0


@pytest.mark.parametrize("hostile", ["", " ", ".", "..", "\ud800", None, 7], ids=repr)
def test_what_is_no_id_does_not_leave(client: Caller, emulator: Emulator, hostile: Any) -> None:
    for method, *arguments in (
        ("get_grid", hostile),
        ("get_run", GRID_ID, hostile),
        ("run_grid", hostile, jane(emulator)),
    ):
        with pytest.raises(InvalidRequestError):
            client(method, *arguments)
    assert emulator.control.requests() == []


@pytest.mark.parametrize("contract", [V1_1_0])
def test_a_workspace_id_cannot_add_a_header(client: Caller, emulator: Emulator) -> None:
    for hostile in ("ws\r\nX-Evil: 1", "ws\nX-Evil: 1", "ws\x00", "wß"):
        with pytest.raises(InvalidRequestError):
            client("list_grids", workspace_id=hostile)
    assert emulator.control.requests() == []


KEY = "THE-KEY"
# What the server says, with KEY in the place of the API key.
ECHOES: dict[str, dict[str, Any]] = {
    "error": {"kind": "status", "status": 400, "code": "BAD", "message": f"the key {KEY} is bad"},
    "code": {"kind": "status", "status": 400, "code": KEY, "message": "x"},
    "wrong key": {"kind": "status", "status": 401, "code": "INVALID_API_KEY", "message": KEY},
    "page": {"kind": "status", "status": 403, "body": f"<pre>api_key: {KEY}</pre>"},
    "end of a long page": {"kind": "status", "status": 403, "body": "x" * 480 + KEY},
    "escaped": {
        "kind": "status",
        "status": 400,
        "body": '{"error": {"code": "BAD", "message": "' + "ESCAPED-KEY" + '"}}',
    },
    "success that is none": {"kind": "status", "status": 200, "body": f'["{KEY}"]'},
    "half a success": {"kind": "status", "status": 200, "body": f'{{"id": "{KEY}'},
    "redirect": {"kind": "redirect", "location": f"https://evil.example/?api_key={KEY}"},
    "redirect in capitals": {"kind": "redirect", "location": f"/{KEY}/x", "status": 308},
}


def echoed(text: str, key: str) -> str:
    escaped = "".join(f"\\u{ord(character):04x}" for character in key)
    return text.replace("ESCAPED-KEY", escaped).replace(KEY, key)


@pytest.mark.parametrize("fault", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_echoed_reaches_no_error_and_no_log(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    fault: dict[str, Any],
) -> None:
    connect(monkeypatch, emulator)
    key = emulator.api_key
    echo = {name: echoed(value, key) if isinstance(value, str) else value for name, value in fault.items()}
    emulator.control.add_fault(**echo, on="run_grid")
    emulator.control.add_fault(**echo, on="get_run")
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("run_grid", (GRID_ID, jane(emulator)), {}),
        ("wait_for_run", (GRID_ID, "run_1"), {"timeout": 0.05, "poll_interval": 0.05}),
    ]
    with caplog.at_level(logging.DEBUG):
        call = hook_caller(kind)
        for method, arguments, options in calls:
            with pytest.raises(BitScaleError) as caught:
                call(method, *arguments, **options)
            error = caught.value
            seen = (error, error.args, error.fields(), vars(error), error.__cause__)
            assert not any(key in repr(thing) + str(thing) for thing in seen)
            assert error.__suppress_context__ or error.__context__ is None
    assert caplog.records, "something was logged"
    for record in caplog.records:
        assert key not in record.getMessage() + repr(vars(record))


def test_a_key_in_a_record_is_blotted_out(client: Caller, emulator: Emulator) -> None:
    body = json.dumps({"id": "ws_1", "name": f"key {emulator.api_key}"})
    emulator.control.add_fault("status", status=200, body=body, on="get_workspace")
    workspace = client("get_workspace")
    assert workspace.name == "key ***"
    assert emulator.api_key not in repr(workspace) + repr(workspace.raw)


def test_no_repr_shows_the_key(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)
    hook = BitScaleHook()
    with Client(config_for(emulator)) as client:
        things = (hook, vars(hook), hook.config, hook.client, hook.test_connection(), client, vars(client))
        for thing in things:
            assert emulator.api_key not in repr(thing) + str(thing)

"""Nothing of one contract leaves under the other: no header, no path, no body."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_provider_bitscale.api import UnsupportedError
from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL, GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.support.clients import jane
from tests.support.hooks import KINDS, connect, hook_caller

HEADERS = {V1_1_0: {"api_key", "workspace-id"}, WORKSPACE_KEY: {"x-api-key"}}
PATHS = {
    V1_1_0: (
        r"/user/me|/workspaces|/workspaces/ws_abc123(/grids(\?search=\w+)?)?"
        r"|/grids/grid_001(/run|/runs/\w+)?"
    ),
    WORKSPACE_KEY: (
        r"/workspace|/grids\?(search=\w+&)?page=1&limit=100"
        r"|/grids/grid_001(/curl(\?output_columns=[\w-]+)?|/run)?|/run/status/[\w-]+|/api-key/rotate"
    ),
}
WITHOUT_WORKSPACE = r"/user/me|/workspaces|/workspaces/ws_abc123"
KEYS_OF_INPUTS = {V1_1_0: r"[0-9a-f-]{36}", WORKSPACE_KEY: r"[a-z_]+"}

# Whatever a hook can be asked, and the contract that alone has it.
CALLS: list[tuple[str, tuple[Any, ...], str | None]] = [
    ("get_current_user", (), V1_1_0),
    ("list_workspaces", (), V1_1_0),
    ("get_workspace", (), None),
    ("get_credits", (), None),
    ("list_grids", (), None),
    ("list_grids", ("lead",), None),
    ("get_grid", (GRID_ID,), None),
    ("get_run_recipe", (GRID_ID,), WORKSPACE_KEY),
    ("get_run_recipe", (GRID_ID, [ENRICHED_EMAIL]), WORKSPACE_KEY),
    ("test_connection", (), None),
]


def call_everything(kind: str, emulator: Emulator) -> None:
    call = hook_caller(kind)
    for method, arguments, only in CALLS:
        if only in (None, emulator.contract):
            call(method, *arguments)
        else:
            with pytest.raises(UnsupportedError, match=emulator.contract):
                call(method, *arguments)
    assert call("run_grid", GRID_ID, jane(emulator), mode="sync").outputs
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    assert call("get_run", GRID_ID, run_id).run_id == run_id
    assert call("wait_for_run", GRID_ID, run_id, poll_interval=0.05).outputs
    if emulator.contract == WORKSPACE_KEY:
        assert call("rotate_api_key").startswith("sk-live-")
    else:
        with pytest.raises(UnsupportedError, match=emulator.contract):
            call("rotate_api_key")


@pytest.mark.parametrize("kind", KINDS)
def test_no_header_and_no_path_of_the_other_contract_leaves(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    connect(monkeypatch, emulator)
    call_everything(kind, emulator)
    requests = emulator.control.requests()
    assert len(requests) > 8
    all_headers = set.union(*HEADERS.values())
    for request in requests:
        path = request["path"].removeprefix("/api/v1")
        assert re.fullmatch(PATHS[emulator.contract], path), path
        sent = {name.lower() for name, _ in request["headers"]} & all_headers
        optional = {"workspace-id"} if re.fullmatch(WITHOUT_WORKSPACE, path) else set()
        assert HEADERS[emulator.contract] - optional <= sent <= HEADERS[emulator.contract], path
        assert request["status"] == 200
        if request["body"]:
            body = json.loads(request["body"])
            assert set(body) == {"mode", "inputs"}
            assert all(re.fullmatch(KEYS_OF_INPUTS[emulator.contract], key) for key in body["inputs"])


def test_a_key_is_not_tried_elsewhere(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other contract's key, in this contract's connection: one request, and a hint."""
    other = next(name for name in HEADERS if name != emulator.contract)
    key = {V1_1_0: "bitscale-personal-key", WORKSPACE_KEY: "sk-live-0123456789"}[other]
    connection = {**emulator.connection(), "password": key}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    good, said = BitScaleHook().test_connection()
    assert not good
    assert f"api_contract '{other}'" in said
    assert "likely cure" in said
    assert key not in said
    [request] = emulator.control.requests()
    assert {name.lower() for name, _ in request["headers"]} & HEADERS[other] == set()


def test_a_server_of_the_other_contract_is_recognised(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right key, the wrong contract: what every owner of a workspace key tries first."""
    wrong = next(name for name in HEADERS if name != emulator.contract)
    extra = {"api_contract": wrong} | ({"workspace_id": "ws_abc123"} if wrong == V1_1_0 else {})
    connection = {**emulator.connection(), "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    good, said = BitScaleHook().test_connection()
    assert not good
    assert f"api_contract '{emulator.contract}'" in said
    assert "likely cure" in said
    assert emulator.api_key not in said


@pytest.mark.parametrize("contract", [WORKSPACE_KEY])
@pytest.mark.parametrize("kind", KINDS)
def test_a_webhook_that_the_contract_may_not_have_is_not_asked_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    connect(monkeypatch, emulator)
    with pytest.raises(UnsupportedError, match="has no webhook_url"):
        hook_caller(kind)("run_grid", GRID_ID, jane(emulator), webhook_url="https://hooks.example.com/b")
    assert emulator.control.state()["runs_paid"] == 0

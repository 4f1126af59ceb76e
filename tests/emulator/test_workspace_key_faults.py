"""The contract with workspace keys over a real socket, what goes wrong: limits and faults."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.responses import UNKNOWN_FIELD
from airflow_provider_bitscale.emulator.seed import (
    ENRICHED_EMAIL,
    LABEL,
    LINKEDIN_URL,
)
from tests.emulator.conftest import JANE_BY_LABEL, Client, KeyClient, error_code

COLUMNS = {ENRICHED_EMAIL, LINKEDIN_URL, LABEL}
HEADERS = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}


@pytest.mark.parametrize(
    ("contract", "hints", "told"),
    [
        ("workspace-key", None, [set(), set()]),
        ("workspace-key", "nothing", [set(), set()]),
        ("workspace-key", "retry-after", [set(), {"retry-after"}]),
        ("workspace-key", "headers", [HEADERS, HEADERS]),
        ("v1.1.0", None, [HEADERS, HEADERS]),
        ("v1.1.0", "retry-after", [set(), {"retry-after"}]),
    ],
)
def test_what_answers_tell_of_the_limit(contract: str, hints: str | None, told: list[set[str]]) -> None:
    with Emulator(contract=contract, rate_limit=(1, 600.0), rate_limit_hints=hints) as emulator:
        client = KeyClient(emulator) if contract == "workspace-key" else Client(emulator)
        answers = [client.get("/grids/grid_001") for _ in told]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert error_code(answers[1]) == (429, "RATE_LIMIT_EXCEEDED")
        found = [
            {name for name in map(str.lower, answer.headers) if name in {*HEADERS, "retry-after"}}
            for answer in answers
        ]
        assert found == told
        if "retry-after" in found[1]:
            assert 1 <= int(answers[1].headers["Retry-After"]) <= 600


def test_a_rotation_gives_no_new_budget() -> None:
    with Emulator(contract="workspace-key", rate_limit=(2, 600.0)) as emulator:
        client = KeyClient(emulator)
        client.session.headers["X-API-KEY"] = client.post("/api-key/rotate").json()["api_key"]
        assert [client.get("/workspace").status_code for _ in range(2)] == [200, 429]
        client.session.headers["X-API-KEY"] = "somebody else"
        assert client.get("/workspace").status_code == 401


@pytest.mark.parametrize(
    ("kind", "fields", "status", "paid"),
    [
        ("latency", {"seconds": 0.1}, 200, 1),
        ("status", {"status": 403, "code": "FEATURE_DISABLED"}, 403, 0),
        ("lost_answer", {}, None, 1),
        ("lost_request", {}, None, 0),
        ("server_error_after_work", {}, 500, 1),
        ("storm", {"retry_after": 2}, 429, 0),
        ("empty", {}, 200, 1),
        ("half_json", {}, 200, 1),
        ("array", {}, 200, 1),
        ("truncated", {}, None, 1),
        ("redirect", {"location": "http://127.0.0.1:1/"}, 302, 0),
        ("run_fails", {}, 200, 1),
        ("run_never_ends", {}, 200, 1),
        ("extra_fields", {}, 200, 1),
        ("null_fields", {}, 200, 1),
        ("hostile_poll_url", {"url": "https://evil.example/"}, 200, 1),
    ],
)
def test_what_each_fault_costs(
    key_client: KeyClient, keyed: Emulator, kind: str, fields: dict[str, Any], status: int | None, paid: int
) -> None:
    keyed.control.add_fault(kind, on="run_grid", times=1, **fields)
    if status is None:
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            key_client.run(mode="async")
    else:
        assert key_client.run(mode="async").status_code == status
    assert keyed.control.state()["runs_paid"] == paid
    assert keyed.control.requests()[-1]["fault"] == kind


@pytest.mark.parametrize(
    ("endpoint", "method", "path"),
    [
        ("get_workspace", "GET", "/workspace"),
        ("list_grids", "GET", "/grids"),
        ("get_grid", "GET", "/grids/grid_001"),
        ("get_run_recipe", "GET", "/grids/grid_001/curl"),
        ("run_grid", "POST", "/grids/grid_001/run"),
        ("get_run", "GET", "/run/status/x"),
        ("rotate_api_key", "POST", "/api-key/rotate"),
    ],
)
def test_faults_go_by_the_name_of_the_endpoint(
    key_client: KeyClient, keyed: Emulator, endpoint: str, method: str, path: str
) -> None:
    keyed.control.add_fault("status", status=503, on=endpoint, times=1)
    other = "/grids/grid_002" if endpoint != "get_grid" else "/workspace"
    assert key_client.get(other).status_code == 200
    assert key_client.session.request(method, key_client.base_url + path, timeout=5).status_code == 503


@pytest.mark.parametrize("endpoint", ["get_current_user", "list_workspaces"])
def test_endpoints_of_the_other_contract_cannot_be_struck(
    keyed: Emulator, emulator: Emulator, endpoint: str
) -> None:
    emulator.control.add_fault("empty", on=endpoint)
    with pytest.raises(ValueError, match="'on'"):
        keyed.control.add_fault("empty", on=endpoint)
    with pytest.raises(ValueError, match="'on'"):
        emulator.control.add_fault("empty", on="get_run_recipe")


def test_a_lost_rotation_leaves_no_known_key(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.add_fault("lost_answer", on="rotate_api_key")
    with pytest.raises(requests.ConnectionError):
        key_client.post("/api-key/rotate")
    assert key_client.get("/workspace").status_code == 401


def test_fields_of_a_poll(key_client: KeyClient, keyed: Emulator) -> None:
    request_id = key_client.submit()
    whole = key_client.outcome(request_id)
    keyed.control.add_fault("unknown_status", value="paused", times=1)
    assert key_client.poll(request_id).json() == {"mode": "async", "status": "paused", "grid_id": "grid_001"}
    keyed.control.add_fault("null_fields", times=1)
    assert key_client.poll(request_id).json() == {**whole, "message": None}
    keyed.control.add_fault("extra_fields", times=1)
    answer = key_client.poll(request_id).json()
    assert UNKNOWN_FIELD in answer
    assert set(answer["outputs"]) == COLUMNS
    assert all(set(output) == {"value", "name", UNKNOWN_FIELD} for output in answer["outputs"].values())


def test_null_and_extra_fields_of_a_receipt(key_client: KeyClient, keyed: Emulator) -> None:
    keyed.control.add_fault("null_fields")
    receipt = key_client.run(mode="async").json()
    assert (receipt["outputs"], receipt["message"]) == (None, None)
    assert "credits" not in receipt
    keyed.control.clear_faults()
    keyed.control.add_fault("extra_fields")
    body = key_client.get("/grids/grid_001/curl").json()["request_body"]
    assert (UNKNOWN_FIELD in body, list(body["inputs"])) == (True, list(JANE_BY_LABEL))


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_the_poll_url_can_be_hostile(key_client: KeyClient, keyed: Emulator, mode: str) -> None:
    keyed.control.add_fault("run_never_ends")
    keyed.control.add_fault("hostile_poll_url", url="https://evil.example/steal")
    assert key_client.run(mode=mode).json()["poll_url"] == "https://evil.example/steal"

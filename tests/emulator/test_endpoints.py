"""Every endpoint over a real socket: its keys exactly as documented, its headers rule by rule."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.request_log import masked
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.emulator.conftest import Client, error_code

TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def shape(value: Any) -> Any:
    """The keys of an answer, lists by their first element, and types for the rest."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


GRID_SUMMARY = {
    "id": "str",
    "name": "str",
    "description": "str",
    "row_count": "int",
    "column_count": "int",
    "created_at": "str",
    "updated_at": "str",
}
DOCUMENTED = {
    "/user/me": {
        "id": "str",
        "name": "str",
        "email": "str",
        "avatar_url": "str",
        "created_at": "str",
        "plan": "str",
    },
    "/workspaces": {
        "workspaces": [
            {"id": "str", "name": "str", "role": "str", "member_count": "int", "created_at": "str"}
        ],
        "total": "int",
    },
    "/workspaces/ws_abc123": {
        "id": "str",
        "name": "str",
        "created_at": "str",
        "created_by": {"id": "str", "name": "str", "email": "str"},
        "plan": {"name": "str", "credits_included": "int", "renewal_date": "str"},
        "credits": {"total": "int", "used": "int", "remaining": "int"},
        "members": {"total": "int", "admins": "int"},
    },
    "/workspaces/ws_abc123/grids": {"grids": [GRID_SUMMARY], "total": "int"},
    "/grids/grid_001": {
        "id": "str",
        "name": "str",
        "description": "str",
        "settings": {"row_limit": "int", "auto_run": "bool", "visibility": "str"},
        "columns": [
            {
                "id": "str",
                "name": "str",
                "type": "str",
                "is_input": "bool",
                "is_output": "bool",
                "required": "bool",
            }
        ],
        "row_count": "int",
        "created_at": "str",
        "updated_at": "str",
    },
}


@pytest.mark.parametrize("path", DOCUMENTED)
def test_the_keys_are_the_documented_ones(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert shape(answer.json()) == DOCUMENTED[path]
    for name, value in re.findall(r'"(created_at|updated_at|renewal_date)":"([^"]*)"', answer.text):
        assert TIMESTAMP.fullmatch(value), name
    assert not any(name.lower().startswith("x-ratelimit") for name in answer.headers)


def test_the_demo_account(client: Client) -> None:
    assert client.get("/workspaces/ws_abc123").json()["credits"] == {
        "total": 100_000,
        "used": 34_200,
        "remaining": 65_800,
    }
    workspaces = client.get("/workspaces").json()
    assert [workspace["id"] for workspace in workspaces["workspaces"]] == ["ws_abc123", "ws_def456"]
    assert workspaces["total"] == 2
    columns = client.get("/grids/grid_001").json()["columns"]
    assert columns[0] == {
        "id": FULL_NAME,
        "name": "Full Name",
        "type": "text",
        "is_input": True,
        "is_output": False,
        "required": True,
    }
    types = {"text", "number", "url", "email", "date", "boolean", "ai_enrichment", "formula"}
    assert {column["type"] for column in columns} == types
    names = [column["name"] for column in client.get("/grids/grid_002").json()["columns"]]
    assert len(names) == len(set(names)) + 1
    assert client.get("/grids/grid_003", workspace_id="ws_def456").status_code == 200


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["grid_001", "grid_002"]),
        ("?search=", ["grid_001", "grid_002"]),
        ("?search=LEAD", ["grid_001"]),
        ("?search=%E2%80%94+q1", ["grid_001"]),
        ("?search=Research&other=1", ["grid_002"]),
        ("?search=attendees", []),
    ],
)
def test_grids_are_searched_by_part_of_their_name(client: Client, search: str, found: list[str]) -> None:
    answer = client.get(f"/workspaces/ws_abc123/grids{search}").json()
    assert [grid["id"] for grid in answer["grids"]] == found
    assert answer["total"] == len(found)


ALL_PATHS = [*DOCUMENTED, "/grids/grid_001/runs/run_1"]
WITH_WORKSPACE = ["/workspaces/ws_abc123/grids", "/grids/grid_001", "/grids/grid_001/runs/run_1"]
WITHOUT_WORKSPACE = ["/user/me", "/workspaces", "/workspaces/ws_abc123"]


@pytest.mark.parametrize("path", ALL_PATHS)
@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_the_key_is_always_required(client: Client, path: str, key: str | None) -> None:
    assert error_code(client.get(path, api_key=key)) == (401, "INVALID_API_KEY")


def test_the_key_has_its_name_with_an_underscore(client: Client, emulator: Emulator) -> None:
    answer = requests.get(client.base_url + "/user/me", headers={"api-key": emulator.api_key}, timeout=5)
    assert error_code(answer) == (401, "INVALID_API_KEY")


@pytest.mark.parametrize("path", WITHOUT_WORKSPACE)
@pytest.mark.parametrize("workspace", [None, "ws_nowhere", "ws_ghi789"])
def test_account_endpoints_ignore_the_workspace_header(
    client: Client, path: str, workspace: str | None
) -> None:
    assert client.get(path, workspace_id=workspace).status_code == 200


@pytest.mark.parametrize("path", WITH_WORKSPACE)
@pytest.mark.parametrize(
    ("workspace", "answer"),
    [
        (None, (400, "MISSING_REQUIRED_FIELD")),
        ("", (400, "MISSING_REQUIRED_FIELD")),
        ("ws_nowhere", (404, "WORKSPACE_NOT_FOUND")),
        ("ws_ghi789", (403, "FORBIDDEN")),
    ],
)
def test_the_other_endpoints_require_the_workspace_header(
    client: Client, path: str, workspace: str | None, answer: tuple[int, str]
) -> None:
    assert error_code(client.get(path, workspace_id=workspace)) == answer


@pytest.mark.parametrize(
    ("path", "workspace", "answer"),
    [
        ("/workspaces/ws_nowhere", "ws_abc123", (404, "WORKSPACE_NOT_FOUND")),
        ("/workspaces/ws_ghi789", "ws_abc123", (403, "FORBIDDEN")),
        ("/workspaces/ws_nowhere/grids", "ws_abc123", (404, "WORKSPACE_NOT_FOUND")),
        ("/workspaces/ws_ghi789/grids", "ws_abc123", (403, "FORBIDDEN")),
        ("/workspaces/ws_def456/grids", "ws_abc123", (400, "INVALID_REQUEST")),
        ("/grids/grid_nowhere", "ws_abc123", (404, "GRID_NOT_FOUND")),
        ("/grids/grid_003", "ws_abc123", (404, "GRID_NOT_FOUND")),
        ("/grids/grid_001", "ws_def456", (404, "GRID_NOT_FOUND")),
        ("/grids/grid%2F001", "ws_abc123", (404, "GRID_NOT_FOUND")),
        ("/grids/grid_001%2Fruns%2Fx", "ws_abc123", (404, "GRID_NOT_FOUND")),
        ("/grids/grid_nowhere/runs/run_1", "ws_abc123", (404, "GRID_NOT_FOUND")),
        ("/grids/grid_001/runs/run_1", "ws_abc123", (404, "RUN_NOT_FOUND")),
        ("/grids/", "ws_abc123", (404, "NOT_FOUND")),
        ("/grids/grid_001/", "ws_abc123", (404, "NOT_FOUND")),
        ("/nowhere", "ws_abc123", (404, "NOT_FOUND")),
        ("/grids/grid_001/run", "ws_abc123", (405, "METHOD_NOT_ALLOWED")),
    ],
)
def test_what_is_not_there(client: Client, path: str, workspace: str, answer: tuple[int, str]) -> None:
    assert error_code(client.get(path, workspace_id=workspace)) == answer


def test_an_encoded_id_is_decoded(emulator: Emulator) -> None:
    # requests would tidy up the path before sending it.
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=5)
    headers = {"api_key": emulator.api_key, "workspace-id": emulator.workspace_id}
    connection.request("GET", "/api/v1/grids/grid%5F001", headers=headers)
    assert json.loads(connection.getresponse().read())["id"] == "grid_001"
    connection.close()
    assert emulator.control.requests()[-1]["path"] == "/api/v1/grids/grid%5F001"


def test_the_version_is_part_of_every_path(client: Client, emulator: Emulator) -> None:
    answer = client.session.get(emulator.url + "/user/me", timeout=5)
    assert error_code(answer) == (404, "NOT_FOUND")


def test_the_wire_is_recorded_in_order_and_the_control_is_not(client: Client, emulator: Emulator) -> None:
    client.get("/grids/grid%2F001?a=%20b")
    client.run(mode="async")
    emulator.control.state()
    first, second = emulator.control.requests()
    assert first["path"] == "/api/v1/grids/grid%2F001?a=%20b"
    assert (first["method"], first["status"], first["body"], first["fault"]) == ("GET", 404, "", None)
    assert ["api_key", masked(emulator.api_key)] in first["headers"]
    assert (second["method"], second["status"]) == ("POST", 200)
    assert FULL_NAME in second["body"]
    assert first["at"] <= second["at"]


@pytest.mark.parametrize(
    ("rate_limit", "path", "statuses"), [((3, 600.0), "/user/me", [200, 200, 200, 429, 429])]
)
def test_the_rate_limit(rate_limit: tuple[int, float], path: str, statuses: list[int]) -> None:
    with Emulator(rate_limit=rate_limit) as emulator:
        client = Client(emulator)
        answers = [client.get(path) for _ in statuses]
        assert [answer.status_code for answer in answers] == statuses
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
        assert int(answers[0].headers["X-RateLimit-Reset"]) % 600 == 0
        assert error_code(answers[-1]) == (429, "RATE_LIMIT_EXCEEDED")
        assert client.run().status_code == 429
        other = client.get("/user/me", api_key="somebody else")
        assert (other.status_code, other.headers["X-RateLimit-Remaining"]) == (401, "2")
        state = emulator.control.state()
        assert (state["rate_limited"], state["runs_paid"]) == (3, 0)

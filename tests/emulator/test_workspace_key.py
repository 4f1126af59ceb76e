"""The contract with workspace keys over a real socket, what can be read: keys, workspace, grids, recipes."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import (
    API_KEY,
    COMPANY,
    EMPLOYEES,
    ENRICHED_EMAIL,
    FULL_NAME,
    LABEL,
    LINKEDIN_URL,
    WEBHOOK_SECRET,
)
from tests.emulator.conftest import Client, KeyClient, error_code

READS = ["/workspace", "/grids", "/grids/grid_001", "/grids/grid_001/curl", "/run/status/nothing"]
WRITES = ["/grids/grid_001/run", "/api-key/rotate"]
SIZE = "29d0e1f2-0314-4678-8345-789012345678"


def test_the_connection(keyed: Emulator) -> None:
    assert keyed.contract == "workspace-key"
    assert keyed.api_key.startswith("sk-live-")
    assert Emulator.api_key == API_KEY
    assert (Emulator().contract, Emulator().api_key) == ("v1.1.0", API_KEY)
    assert keyed.connection() == {
        "conn_type": "bitscale",
        "host": keyed.base_url,
        "password": keyed.api_key,
        "extra": {"api_contract": "workspace-key", "webhook_secret": WEBHOOK_SECRET},
    }


@pytest.mark.parametrize("method_and_path", [*(("GET", p) for p in READS), *(("POST", p) for p in WRITES)])
@pytest.mark.parametrize("header", ["", "api_key", "api-key", "apikey", "Authorization", "workspace-id"])
def test_no_other_header_than_x_api_key_is_of_use(
    keyed: Emulator, method_and_path: tuple[str, str], header: str
) -> None:
    method, path = method_and_path
    value = f"Bearer {keyed.api_key}" if header == "Authorization" else keyed.api_key
    headers = {header: value} if header else {}
    answer = requests.request(method, keyed.base_url + path, headers=headers, json={}, timeout=5)
    assert error_code(answer) == (401, "INVALID_API_KEY")


@pytest.mark.parametrize("name", ["X-API-KEY", "x-api-key", "X-Api-Key"])
def test_the_header_may_be_written_in_any_case(keyed: Emulator, name: str) -> None:
    def status(key: str) -> int:
        return requests.get(keyed.base_url + "/workspace", headers={name: key}, timeout=5).status_code

    assert [status(keyed.api_key), status(keyed.api_key + "x"), status(API_KEY)] == [200, 401, 401]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/user/me"),
        ("GET", "/workspaces"),
        ("GET", "/workspaces/ws_abc123"),
        ("GET", "/workspaces/ws_abc123/grids"),
        ("GET", "/grids/grid_001/runs/run_1"),
    ],
)
def test_what_only_v1_1_0_has_is_not_here(key_client: KeyClient, method: str, path: str) -> None:
    answer = key_client.session.request(method, key_client.base_url + path, timeout=5)
    assert error_code(answer) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/workspace"),
        ("GET", "/grids"),
        ("GET", "/grids/grid_001/curl"),
        ("GET", "/run/status/x"),
        ("POST", "/api-key/rotate"),
    ],
)
def test_what_v1_1_0_has_not(client: Client, emulator: Emulator, method: str, path: str) -> None:
    headers = {"X-API-KEY": emulator.api_key}
    answer = client.session.request(method, client.base_url + path, headers=headers, timeout=5)
    assert error_code(answer) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/workspace"), ("GET", "/grids/grid_001/run"), ("GET", "/api-key/rotate")]
)
def test_methods_that_are_not_allowed(key_client: KeyClient, method: str, path: str) -> None:
    answer = key_client.session.request(method, key_client.base_url + path, timeout=5)
    assert error_code(answer) == (405, "METHOD_NOT_ALLOWED")


def test_the_workspace(key_client: KeyClient, keyed: Emulator) -> None:
    workspace = key_client.get("/workspace").json()
    assert list(workspace) == ["id", "name", "plan", "credits", "people_company_searches", "members"]
    assert (workspace["id"], workspace["name"]) == (keyed.workspace_id, "Acme Corp — Sales")
    assert set(workspace["plan"]) == {
        "name",
        "credits_included",
        "billing_interval",
        "next_billing_date",
        "price",
    }
    assert workspace["credits"] == {
        "total": 100_000,
        "used": 34_200,
        "remaining": 65_800,
        "plan_credits": 100_000,
        "rollover": 0,
        "topup": 0,
    }
    searches = workspace["people_company_searches"]
    assert searches["limit"] == searches["used"] + searches["remaining"]
    members = workspace["members"]
    assert members["total"] == members["owners"] + members["admins"] + members["editors"] == 12
    keyed.control.set_credits(120_000)
    credits = key_client.get("/workspace").json()["credits"]
    assert (credits["total"], credits["topup"]) == (120_000, 20_000)


def test_grids_are_listed_with_the_columns_that_run(key_client: KeyClient) -> None:
    answer = key_client.get("/grids").json()
    assert {name: answer[name] for name in ("total", "page", "limit")} == {"total": 5, "page": 1, "limit": 20}
    grids = {grid["id"]: grid for grid in answer["grids"]}
    assert list(grids) == ["grid_001", "grid_002", "grid_extra_1", "grid_extra_2", "grid_extra_3"]
    assert list(grids["grid_001"]) == [
        "id",
        "name",
        "description",
        "row_count",
        "column_count",
        "created_at",
        "updated_at",
        "columns",
    ]
    assert grids["grid_001"]["columns"] == [
        {
            "id": ENRICHED_EMAIL,
            "name": "Enriched Email",
            "type": "enrichment",
            "dependencies": [FULL_NAME, COMPANY],
        },
        {"id": LINKEDIN_URL, "name": "LinkedIn URL", "type": "enrichment", "dependencies": [FULL_NAME]},
        {"id": LABEL, "name": "Label", "type": "formula", "dependencies": [FULL_NAME, COMPANY]},
    ]
    extra = grids["grid_extra_2"]
    assert (extra["name"], extra["description"], extra["columns"]) == ("Extra Grid 2", None, [])


@pytest.mark.parametrize(
    ("query", "numbers", "total", "limit"),
    [
        ("", range(1, 21), 120, 20),
        ("&page=2", range(21, 41), 120, 20),
        ("&limit=50&page=3", range(101, 121), 120, 50),
        ("&limit=50&page=4", [], 120, 50),
        ("&limit=100", range(1, 101), 120, 100),
        ("&limit=101", range(1, 101), 120, 100),
        ("&limit=999999999999", range(1, 101), 120, 100),
        ("&page=999999999999", [], 120, 20),
        ("+12&limit=1&page=2", [120], 2, 1),
    ],
)
def test_pages(crowded: KeyClient, query: str, numbers: list[int], total: int, limit: int) -> None:
    answer = crowded.get(f"/grids?search=EXTRA+grid{query}").json()
    assert [grid["name"] for grid in answer["grids"]] == [f"Extra Grid {number}" for number in numbers]
    assert (answer["total"], answer["limit"]) == (total, limit)


@pytest.fixture(scope="module")
def crowded() -> Any:
    with Emulator(contract="workspace-key", extra_grids=120) as emulator:
        yield KeyClient(emulator)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "+1", "²", "9" * 5000])
@pytest.mark.parametrize("name", ["page", "limit"])
def test_pages_that_make_no_sense(key_client: KeyClient, name: str, text: str) -> None:
    answer = key_client.session.get(key_client.base_url + "/grids", params={name: text}, timeout=5)
    assert error_code(answer) == (400, "INVALID_REQUEST")


def test_extra_grids_are_there_under_v1_1_0_too() -> None:
    with Emulator(extra_grids=2) as emulator:
        grids = Client(emulator).get("/workspaces/ws_abc123/grids").json()
        assert [grid["id"] for grid in grids["grids"]] == [
            "grid_001",
            "grid_002",
            "grid_extra_1",
            "grid_extra_2",
        ]
        assert grids["total"] == 4
        assert Client(emulator).get("/grids/grid_extra_2").json()["name"] == "Extra Grid 2"


def test_a_grid(key_client: KeyClient) -> None:
    grid = key_client.get("/grids/grid_001").json()
    assert set(grid) == {
        "id",
        "name",
        "description",
        "row_count",
        "settings",
        "columns",
        "sources",
        "created_at",
        "updated_at",
    }
    assert grid["settings"] == {
        "auto_run": False,
        "auto_dedupe": False,
        "visibility": "workspace",
        "dedupe_column_id": None,
    }
    assert {tuple(column) for column in grid["columns"]} == {("id", "name", "type")}
    types = {column["id"]: column["type"] for column in grid["columns"]}
    assert len(types) == 10
    assert [types[column] for column in (FULL_NAME, EMPLOYEES, ENRICHED_EMAIL, LABEL)] == [
        "text",
        "text",
        "enrichment",
        "formula",
    ]
    (source,) = grid["sources"]
    assert source["name"] == "BitScale API"
    assert str(UUID(source["id"])) == source["id"]
    assert key_client.get("/grids/grid_extra_1").json()["sources"] == []


def test_each_run_appends_a_row(key_client: KeyClient) -> None:
    for _ in range(2):
        key_client.submit()
    assert key_client.run(inputs=None).status_code == 400
    assert key_client.get("/grids/grid_001").json()["row_count"] == 1502
    assert [grid["row_count"] for grid in key_client.get("/grids?limit=2").json()["grids"]] == [1502, 240]


@pytest.mark.parametrize("path", ["/grids/{}", "/grids/{}/curl"])
@pytest.mark.parametrize("grid_id", ["grid_nowhere", "grid_003"])
def test_only_the_grids_of_the_keys_workspace_exist(key_client: KeyClient, path: str, grid_id: str) -> None:
    assert error_code(key_client.get(path.format(grid_id))) == (404, "GRID_NOT_FOUND")
    assert error_code(key_client.run(grid_id)) == (404, "GRID_NOT_FOUND")


def test_a_grid_without_an_api_source_cannot_run(key_client: KeyClient, keyed: Emulator) -> None:
    assert error_code(key_client.get("/grids/grid_extra_1/curl")) == (400, "MISSING_SOURCE")
    assert error_code(key_client.run("grid_extra_1")) == (400, "MISSING_SOURCE")
    assert keyed.control.state()["runs_paid"] == 0


@pytest.mark.parametrize(
    ("grid_id", "asked", "labels", "outputs"),
    [
        ("grid_001", None, ["full_name", "company"], [ENRICHED_EMAIL, LINKEDIN_URL, LABEL]),
        ("grid_001", [LINKEDIN_URL], ["full_name"], [LINKEDIN_URL]),
        ("grid_001", [LABEL, LINKEDIN_URL], ["full_name", "company"], [LABEL, LINKEDIN_URL]),
        ("grid_001", [LINKEDIN_URL, EMPLOYEES], ["full_name", "employees"], [LINKEDIN_URL, EMPLOYEES]),
        ("grid_002", None, ["domain"], [SIZE]),
    ],
)
def test_a_recipe_names_the_labels_its_columns_need(
    key_client: KeyClient, grid_id: str, asked: list[str] | None, labels: list[str], outputs: list[str]
) -> None:
    query = "" if asked is None else f"?output_columns={','.join(asked)}"
    recipe = key_client.get(f"/grids/{grid_id}/curl{query}").json()
    body = recipe["request_body"]
    assert list(body["inputs"]) == labels
    assert body.get("output_columns") == asked
    assert body["mode"] == "sync"
    assert [column["id"] for column in recipe["output_columns"]] == outputs
    assert {tuple(column) for column in recipe["output_columns"]} == {("id", "name", "type")}
    assert (recipe["grid_id"], recipe["method"]) == (grid_id, "POST")
    assert recipe["run_url"] == f"{key_client.base_url}/grids/{grid_id}/run"


@pytest.mark.parametrize("columns", ["nothing", f"{LABEL},", f"{LABEL},full_name"])
def test_a_recipe_for_unknown_columns_is_refused(key_client: KeyClient, columns: str) -> None:
    answer = key_client.get(f"/grids/grid_001/curl?output_columns={columns}")
    assert error_code(answer) == (400, "UNKNOWN_COLUMN")


def test_the_recipe_runs_with_the_key_and_values_filled_in(key_client: KeyClient, keyed: Emulator) -> None:
    recipe = key_client.get("/grids/grid_001/curl").json()
    words = shlex.split(recipe["curl"])
    assert keyed.api_key not in recipe["curl"]
    assert words[:4] == ["curl", "-X", "POST", recipe["run_url"]]
    assert "X-API-KEY: YOUR_WORKSPACE_API_KEY" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body == recipe["request_body"]
    path = urlsplit(recipe["run_url"]).path.removeprefix("/api/v1")
    body["inputs"] = {"full_name": "Jane Doe", "company": "Acme Corp"}
    outputs = key_client.post(path, body).json()["outputs"]
    assert outputs[ENRICHED_EMAIL]["value"] == "jane.doe@acmecorp.com"

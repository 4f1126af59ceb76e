"""The contract of workspace keys as data: paths, headers and bodies, and answers read to the same records."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_bitscale.api import (
    AuthenticationError,
    ClientConfig,
    ColumnType,
    InvalidRequestError,
    Members,
    NotFoundError,
    Run,
    RunRecipe,
    RunStatus,
    TransportError,
    UnreadableAcceptanceError,
    UnsupportedError,
)
from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.contracts import Contract, contract_for
from airflow_provider_bitscale.api.contracts import workspace_key_parsing as answers
from airflow_provider_bitscale.api.contracts.workspace_key import SYNC_ANSWER_TIMEOUT
from airflow_provider_bitscale.api.parsing import parse_run
from tests.api import workspace_key_documents as doc

KEY = "sk-live-4c9f1b7de2a8"
CONFIG = ClientConfig(api_key=KEY, api_contract="workspace-key")
contract = contract_for(CONFIG)
RECIPE = answers.parse_recipe(doc.RECIPE)
ROW = {"full_name": "Jane"}


def run_grid(
    inputs: Any, recipe: RunRecipe | None = RECIPE, mode: Literal["async", "sync"] = "async", **more: Any
) -> Call[Run]:
    return contract.run_grid("g/1", inputs, mode=mode, recipe=recipe, **more)


def first_page(search: str | None = None) -> Call[Any]:
    call = contract.list_grids(search).next_call()
    assert call is not None
    return call


CALLS: dict[str, tuple[Call[Any], str, dict[str, list[str]]]] = {
    "workspace": (contract.get_workspace(), "GET /workspace", {}),
    "grids": (first_page(), "GET /grids", {"page": ["1"], "limit": ["100"]}),
    "search": (first_page("a&b"), "GET /grids", {"search": ["a&b"], "page": ["1"], "limit": ["100"]}),
    "grid": (contract.get_grid("g/1"), "GET /grids/g%2F1", {}),
    "recipe": (contract.get_run_recipe("g/1"), "GET /grids/g%2F1/curl", {}),
    "recipe of columns": (
        contract.get_run_recipe("g/1", ["a", "b&c"]),
        "GET /grids/g%2F1/curl",
        {"output_columns": ["a,b&c"]},
    ),
    "run": (run_grid({"full_name": "Jane"}), "POST /grids/g%2F1/run", {}),
    "poll": (contract.get_run("g/1", "r/1"), "GET /run/status/r%2F1", {}),
    "rotate": (contract.rotate_api_key(), "POST /api-key/rotate", {}),
}


@pytest.mark.parametrize(("call", "label", "query"), CALLS.values(), ids=CALLS.keys())
def test_path_query_and_headers(call: Call[Any], label: str, query: dict[str, list[str]]) -> None:
    url = urlsplit(call.url)
    assert (url.scheme, url.netloc, url.fragment) == ("https", "api.bitscale.ai", "")
    assert (f"{call.method} {url.path.removeprefix('/api/v1')}", call.label) == (label, label)
    assert parse_qs(url.query) == query
    expected = {"X-API-KEY", "Accept", "User-Agent"} | ({"Content-Type"} if call.body else set())
    assert set(call.headers) == expected
    assert call.headers["X-API-KEY"] == KEY
    assert KEY not in repr(call) + call.url


def test_what_may_not_be_repeated_says_what_is_ambiguous() -> None:
    ambiguities = {name: call.ambiguity for name, (call, _, _) in CALLS.items() if call.ambiguity}
    assert list(ambiguities) == ["run", "rotate"]
    assert "paid for" in str(ambiguities["run"])
    assert "take the new one from" in str(ambiguities["rotate"])


MISSING: dict[str, tuple[Callable[[Contract], Any], str]] = {
    "user": (lambda by: by.get_current_user(), "get_workspace tells whose key it is"),
    "workspaces": (lambda by: by.list_workspaces(), "get_workspace tells the one"),
    "another workspace": (lambda by: by.get_workspace("ws_1"), "the key names the workspace"),
    "grids of another": (lambda by: by.list_grids(None, "ws_1"), "the key names the workspace"),
    "webhook": (lambda _: run_grid(ROW, webhook_url="https://hooks.example.com"), "poll it"),
}


@pytest.mark.parametrize(("call", "instead"), MISSING.values(), ids=MISSING.keys())
def test_what_it_has_not_names_the_contract_and_the_way_round(
    call: Callable[[Contract], Any], instead: str
) -> None:
    with pytest.raises(UnsupportedError, match="workspace-key has no") as caught:
        call(contract)
    assert instead in str(caught.value)


@pytest.mark.parametrize(
    "inputs", [{"full_name": "Jane"}, {"full_name": "Jane", "company_name": None}, {"company_name": 0}]
)
def test_the_body_of_a_run(inputs: dict[str, Any]) -> None:
    body = run_grid(inputs, mode="sync", output_columns=("c1",)).body
    assert body is not None
    assert json.loads(body) == {"mode": "sync", "inputs": inputs, "output_columns": ["c1"]}


@pytest.mark.parametrize("key", ["Full Name", "FULL_NAME", "full_name ", "c-name", "", "naem"])
def test_a_label_that_the_recipe_does_not_list_does_not_leave(key: str) -> None:
    with pytest.raises(InvalidRequestError, match="lists 'full_name', 'company_name'") as caught:
        run_grid({"full_name": "Jane", key: "x"})
    assert repr(key) in str(caught.value)
    assert "'full_name', 'company_name'" in str(caught.value)


@pytest.mark.parametrize("inputs", [{}, {"full_name": ""}, {"full_name": None, "company_name": " \n"}])
def test_a_row_without_any_value_does_not_leave(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="a blank row would be paid for"):
        run_grid(inputs)


def test_without_a_recipe_nothing_is_known() -> None:
    with pytest.raises(InvalidRequestError, match="lists none"):
        run_grid({"full_name": "Jane"}, recipe=None)


def test_a_sync_run_is_waited_for_until_bitscale_answers() -> None:
    assert SYNC_ANSWER_TIMEOUT > 120
    for patience in (None, 3.0, 5000.0):
        assert run_grid(ROW, mode="sync", timeout=patience).timeout == SYNC_ANSWER_TIMEOUT
        assert run_grid(ROW, timeout=patience).timeout == patience


def test_a_workspace() -> None:
    workspace = answers.parse_workspace(doc.WORKSPACE)
    assert (workspace.id, workspace.name, workspace.role) == (doc.WORKSPACE["id"], "Acme Corp", None)
    assert workspace.credits is not None
    assert workspace.credits.to_json() == {"total": 21000, "used": 1000, "remaining": 20000}
    assert workspace.plan is not None
    assert (workspace.plan.name, workspace.plan.renewal_date) == (
        "Growth",
        datetime(2026, 12, 1, tzinfo=timezone.utc),
    )
    assert workspace.members == Members(total=4, owners=1, admins=1, editors=2)
    assert workspace.raw == doc.WORKSPACE


def test_a_grid() -> None:
    grid = answers.parse_grid(doc.GRID)
    assert [(column.id, column.name) for column in grid.columns] == [
        ("c-name", "Full Name"),
        (doc.EMAIL, "Email"),
        (doc.LINKEDIN, "LinkedIn"),
        ("c-score", "Score"),
    ]
    assert [column.type for column in grid.columns] == [
        ColumnType.TEXT,
        ColumnType.ENRICHMENT,
        ColumnType.MERGE,
        ColumnType.UNKNOWN,
    ]
    assert not any(column.is_input or column.is_output or column.required for column in grid.columns)
    assert grid.settings is not None
    assert (grid.settings.row_limit, grid.settings.visibility) == (None, "workspace")
    assert grid.raw == doc.GRID


@pytest.mark.parametrize(
    ("more", "total"),
    [
        ({}, None),
        ({"total": 7}, 7),
        ({"total_count": 7}, 7),
        ({"pagination": {"page": 1, "total": 7}}, 7),
        ({"meta": {"total_count": 7}}, 7),
        ({"total": "7"}, None),
        ({"total": True, "page": 1}, None),
    ],
)
def test_a_page_of_grids_whatever_its_total_is_called(more: dict[str, Any], total: int | None) -> None:
    page = answers.parse_grids({"grids": [doc.LISTED_GRID], **more})
    assert ([grid.id for grid in page.grids], page.total) == ([doc.GRID_ID], total)
    assert page.grids[0].columns[0].type is ColumnType.ENRICHMENT


def test_a_recipe() -> None:
    assert (RECIPE.grid_id, RECIPE.grid_name) == (doc.GRID_ID, "Leads")
    assert RECIPE.inputs == ("full_name", "company_name")
    assert [column.id for column in RECIPE.output_columns] == [doc.EMAIL]
    bare = answers.parse_recipe({"request_body": {"inputs": {}}, "output_columns": None})
    assert (bare.inputs, bare.output_columns) == ((), ())


def test_what_a_run_does_not_need_of_a_recipe_does_not_keep_one_from_it() -> None:
    outputs = ["uuid", {"name": "no id"}, None, {"key": "k"}]
    recipe = answers.parse_recipe({**doc.RECIPE, "output_columns": outputs})
    assert (recipe.inputs, [column.id for column in recipe.output_columns]) == (RECIPE.inputs, ["k"])


@pytest.mark.parametrize(
    "payload", [{}, {"request_body": {}}, {"request_body": {"inputs": ["full_name"]}}, []]
)
def test_a_recipe_without_inputs_is_none(payload: Any) -> None:
    with pytest.raises(ValueError, match="expected a JSON object"):
        answers.parse_recipe(payload)


def polled(payload: Any, run_id: str) -> Run:
    call = contract_for(CONFIG).get_run(doc.GRID_ID, run_id)
    return call.read(CONFIG, 200, {}, json.dumps(payload).encode())


def test_a_completed_run_has_plain_values_and_names_aside() -> None:
    run = polled(doc.COMPLETED, "r-7")
    assert run.outputs == {doc.EMAIL: "jane.doe@acme.com", doc.LINKEDIN: None}
    assert run.output_names == {doc.EMAIL: "Email", doc.LINKEDIN: "LinkedIn"}
    assert (run.run_id, run.status, run.credits, run.error) == ("r-7", RunStatus.COMPLETED, None, None)
    assert run.raw == doc.COMPLETED
    again = parse_run(json.loads(json.dumps(run.to_json())))
    assert again == run, "a trigger's event loses nothing"


CELLS: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "as reported": ({"value": "x", "name": "N"}, "x", {"c": "N"}),
    "a new field": ({"value": "x", "name": "N", "confidence": 1}, "x", {"c": "N"}),
    "no name": ({"value": "x"}, "x", {}),
    "a name that is none": ({"value": "x", "name": None}, "x", {}),
    "rich": ({"value": {"value": 1}, "name": "N"}, {"value": 1}, {"c": "N"}),
    "plain": ("x", "x", {}),
    "plain object": ({"score": 3}, {"score": 3}, {}),
    "plain list": (["x"], ["x"], {}),
    "null": (None, None, {}),
}


@pytest.mark.parametrize(("cell", "value", "names"), CELLS.values(), ids=CELLS.keys())
def test_a_cell_is_read_wrapped_or_plain(cell: Any, value: Any, names: dict[str, str]) -> None:
    run = polled({"status": "completed", "outputs": {"c": cell}}, "r-7")
    assert (run.outputs, run.output_names) == ({"c": value}, names)


RUNS: dict[str, tuple[dict[str, Any], RunStatus, str, str | None]] = {
    "running": (doc.RUNNING, RunStatus.RUNNING, doc.REQUEST_ID, None),
    "failed": ({"status": "failed", "message": "no credits"}, RunStatus.FAILED, "r-7", "no credits"),
    "failed with an error": ({"status": "failed", "error": {"message": "no"}}, RunStatus.FAILED, "r-7", "no"),
    "a message while it runs": ({"status": "running", "message": "soon"}, RunStatus.RUNNING, "r-7", None),
    "a status that is not documented": ({"status": "error", "message": "x"}, RunStatus.UNKNOWN, "r-7", None),
    "by the other name": ({"status": "running", "run_id": "r"}, RunStatus.RUNNING, "r", None),
}


@pytest.mark.parametrize(("payload", "status", "run_id", "error"), RUNS.values(), ids=RUNS.keys())
def test_a_poll(payload: dict[str, Any], status: RunStatus, run_id: str, error: str | None) -> None:
    run = polled(payload, "r-7")
    assert (run.status, run.run_id, run.error) == (status, run_id, error)


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_run_is_accepted_with_an_id_or_an_answer(mode: Literal["async", "sync"], status: int) -> None:
    call = run_grid(ROW, mode=mode)
    running = {**doc.RUNNING, "mode": mode}
    run = call.read(CONFIG, status, {}, json.dumps(running).encode())
    assert (run.run_id, run.status) == (doc.REQUEST_ID, RunStatus.RUNNING)
    done = call.read(CONFIG, status, {}, json.dumps(doc.SYNC_RUN).encode())
    assert (done.run_id, done.status) == (None, RunStatus.COMPLETED)
    number = call.read(CONFIG, status, {}, b'{"request_id": 7}')
    assert (number.run_id, number.status) == ("7", RunStatus.UNKNOWN)
    with pytest.raises(UnreadableAcceptanceError, match="the id of the run is missing"):
        call.read(CONFIG, status, {}, b'{"mode": "async", "status": "running"}')


@pytest.mark.parametrize("body", [b"{}", b'{"api_key": ""}', b'{"api_key": 7}', b"[]", b"null"])
def test_a_rotation_without_a_key_is_not_as_documented(body: bytes) -> None:
    call = contract.rotate_api_key()
    assert call.read(CONFIG, 200, {}, b'{"api_key": "sk-live-new"}') == "sk-live-new"
    with pytest.raises(TransportError, match="not as expected"):
        call.read(CONFIG, 200, {}, body)


HINTS = [
    ("v1.1.0", "sk-live-1234567890", "api_contract 'workspace-key' is the likely cure"),
    ("v1.1.0", "a-personal-key", "If it is the key of a workspace"),
    ("workspace-key", "a-personal-key", "api_contract 'v1.1.0', with a workspace_id, is the likely cure"),
    ("workspace-key", "sk-live-1234567890", "may have been rotated"),
]


@pytest.mark.parametrize(("name", "key", "hint"), HINTS)
def test_a_refused_key_is_examined(name: str, key: str, hint: str) -> None:
    found = contract_for(ClientConfig(api_key=key, api_contract=name)).hint_on(AuthenticationError("no"))
    assert found is not None
    assert hint in found
    assert key not in found


OWN, OTHER = "GET /user/me", "GET /grids/{grid_id}"


@pytest.mark.parametrize(
    ("key", "request_", "code", "hinted"),
    [
        ("a-personal-key", OWN, None, True),
        ("a-personal-key", OWN, "NO_SUCH_PATH", True),
        ("a-personal-key", OTHER, None, False),
        ("sk-live-1234567890", OTHER, None, True),
        ("sk-live-1234567890", OTHER, "GRID_NOT_FOUND", False),
        ("sk-live-1234567890", OTHER, "RUN_NOT_FOUND", False),
    ],
)
def test_an_unknown_path_speaks_for_another_contract_where_nothing_else_is_likely(
    key: str, request_: str, code: str | None, hinted: bool
) -> None:
    contract = contract_for(ClientConfig(api_key=key))
    error = NotFoundError("not found", status=404, code=code, request=request_)
    assert ("api_contract" in (contract.hint_on(error) or "")) is hinted


@pytest.mark.parametrize(
    ("base_url", "code", "hint"),
    [
        ("https://api.bitscale.ai/api/v1", None, None),
        ("https://bitscale.example/api/v2", None, "Is the base URL right, https://bitscale.example/api/v2?"),
        ("https://bitscale.example/api/v2", "RUN_NOT_FOUND", None),
        ("https://bitscale.example/api/v2", "GRID_NOT_FOUND", "Grids are named by their ids: list_grids()"),
    ],
)
def test_what_is_not_found_is_asked_for_in_another_way(
    base_url: str, code: str | None, hint: str | None
) -> None:
    contract = contract_for(ClientConfig(api_key="a-personal-key", base_url=base_url))
    told = contract.hint_on(NotFoundError("not found", status=404, code=code, request=OTHER))
    assert told is None if hint is None else (told or "").startswith(hint)

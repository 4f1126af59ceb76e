"""The documented contract as data: the exact path of every id, and the headers endpoint by endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest

from airflow_provider_bitscale.api import (
    ClientConfig,
    ConfigurationError,
    InvalidRequestError,
    TransportError,
    UnreadableAcceptanceError,
    UnsupportedError,
)
from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.contracts import Contract, contract_for
from airflow_provider_bitscale.api.models import GridPage
from tests.support import documents as doc

KEY = "key-4c9f1b7d"
CONFIG = ClientConfig(api_key=KEY, workspace_id="ws_abc123")
contract = contract_for(CONFIG)


def run_grid(
    grid_id: Any, inputs: Any = None, mode: Literal["async", "sync"] = "async", **changes: Any
) -> Call[Any]:
    return contract.run_grid(grid_id, {} if inputs is None else inputs, mode=mode, **changes)


def list_grids(
    workspace_id: Any = None, search: str | None = None, by: Contract = contract
) -> Call[GridPage]:
    call = by.list_grids(search, workspace_id).next_call()
    assert call is not None
    return call


CALLS: dict[str, tuple[Callable[[Any], Call[Any]], str]] = {
    "get_workspace": (contract.get_workspace, "GET /workspaces/{}"),
    "get_grid": (contract.get_grid, "GET /grids/{}"),
    "run_grid": (run_grid, "POST /grids/{}/run"),
    "get_run by grid": (lambda grid_id: contract.get_run(grid_id, "run_1"), "GET /grids/{}/runs/run_1"),
    "get_run by run": (lambda run_id: contract.get_run("grid_001", run_id), "GET /grids/grid_001/runs/{}"),
}
QUOTED = {
    "grid_001": "grid_001",
    "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890": "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890",
    "a/b": "a%2Fb",
    "../../admin": "..%2F..%2Fadmin",
    "/etc": "%2Fetc",
    "a\\b": "a%5Cb",
    "a?b=c": "a%3Fb%3Dc",
    "a#b": "a%23b",
    "a%2Fb": "a%252Fb",
    "%2e%2e": "%252e%252e",
    "a\r\nHost: evil": "a%0D%0AHost%3A%20evil",
    "a\x00b": "a%00b",
    "a b": "a%20b",
    "a;b@c:d": "a%3Bb%40c%3Ad",
    "é": "%C3%A9",
    "网格": "%E7%BD%91%E6%A0%BC",
    "{grid_id}": "%7Bgrid_id%7D",
    "..a": "..a",
}
REFUSED = ["", " ", "\t\n", ".", "..", "...", "\ud800", "a\udfff", 7, b"grid_001", ["a"], {"a": 1}]


@pytest.mark.parametrize(("make", "label"), CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(("id_", "quoted"), QUOTED.items())
def test_an_id_is_one_segment_of_the_path(
    make: Callable[[Any], Call[Any]], label: str, id_: str, quoted: str
) -> None:
    call = make(id_)
    assert call.label == label.format(quoted)
    url = urlsplit(call.url)
    assert (url.scheme, url.netloc, url.query, url.fragment) == ("https", "api.bitscale.ai", "", "")
    assert url.path == "/api/v1" + label.format(quoted).split()[1]
    assert id_ in [unquote(segment) for segment in url.path.split("/")]


@pytest.mark.parametrize("make", [list_grids, *(make for make, _ in CALLS.values())])
@pytest.mark.parametrize("id_", REFUSED, ids=repr)
def test_what_is_no_id_is_refused(make: Callable[[Any], Call[Any]], id_: Any) -> None:
    with pytest.raises(InvalidRequestError, match="_id"):
        make(id_)


@pytest.mark.parametrize("make", [CALLS[name][0] for name in CALLS if name != "get_workspace"])
def test_no_id_is_no_id(make: Callable[[Any], Call[Any]]) -> None:
    with pytest.raises(InvalidRequestError, match="_id"):
        make(None)


@pytest.mark.parametrize(
    ("search", "query"),
    [
        (None, ""),
        ("", "search="),
        ("lead", "search=lead"),
        ("a&b=c", "search=a%26b%3Dc"),
        ("é #1", "search=%C3%A9+%231"),
        ("\r\n", "search=%0D%0A"),
    ],
)
def test_the_search_is_one_parameter(search: str | None, query: str) -> None:
    assert urlsplit(list_grids("ws", search).url).query == query


def test_a_search_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="search is not text"):
        list_grids("ws", "\ud800")


ACCOUNT = {"api_key", "Accept", "User-Agent"}
MAKERS: dict[str, tuple[Callable[[Contract], Call[Any]], set[str]]] = {
    "1": (lambda by: by.get_current_user(), ACCOUNT),
    "2": (lambda by: by.list_workspaces(), ACCOUNT),
    "3": (lambda by: by.get_workspace("ws_abc123"), ACCOUNT),
    "4": (lambda by: list_grids(by=by), ACCOUNT | {"workspace-id"}),
    "5": (lambda by: by.get_grid("grid_001"), ACCOUNT | {"workspace-id"}),
    "6 run": (
        lambda by: by.run_grid("grid_001", {}, mode="async"),
        ACCOUNT | {"workspace-id", "Content-Type"},
    ),
    "6 poll": (lambda by: by.get_run("grid_001", "run_1"), ACCOUNT | {"workspace-id"}),
}
HEADERS = {name: (make(contract), names) for name, (make, names) in MAKERS.items()}


@pytest.mark.parametrize(("make", "names"), MAKERS.values(), ids=MAKERS.keys())
def test_the_headers_endpoint_by_endpoint(make: Callable[[Contract], Call[Any]], names: set[str]) -> None:
    call = make(contract)
    assert set(call.headers) == names
    assert call.headers["api_key"] == KEY
    assert call.headers.get("workspace-id", "ws_abc123") == "ws_abc123"
    assert call.headers.get("Content-Type", "application/json") == "application/json"
    assert KEY not in repr(call)
    without = contract_for(ClientConfig(api_key=KEY))
    if "workspace-id" in names:
        with pytest.raises(ConfigurationError, match="workspace_id is not set"):
            make(without)
    else:
        assert set(make(without).headers) == names


def test_only_the_run_may_not_be_repeated() -> None:
    assert [name for name, (call, _) in HEADERS.items() if call.ambiguity] == ["6 run"]


def test_a_listed_workspace_goes_into_path_and_header() -> None:
    call = list_grids("ws_def456")
    assert (call.label, call.headers["workspace-id"]) == ("GET /workspaces/ws_def456/grids", "ws_def456")
    with pytest.raises(InvalidRequestError, match="workspace_id must be"):
        list_grids("ws\r\nx-evil: 1")


def test_the_list_of_grids_comes_whole() -> None:
    listing = contract.list_grids()
    call = listing.next_call()
    assert call is not None
    listing.add(call.read(CONFIG, 200, {}, json.dumps({**doc.GRIDS, "total": 500}).encode()))
    assert [grid.id for grid in listing.grids] == ["grid_001"]
    assert listing.next_call() is None


def test_what_it_has_not_names_the_contract_and_the_way_round() -> None:
    with pytest.raises(UnsupportedError, match=r"v1\.1\.0 has no run recipe: get_grid"):
        contract.get_run_recipe("grid_001")
    with pytest.raises(UnsupportedError, match=r"v1\.1\.0 has no key rotation: .*account settings"):
        contract.rotate_api_key()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"mode": "sync"}, {"mode": "sync"}),
        ({"output_columns": ["c1"]}, {"output_columns": ["c1"]}),
        ({"output_columns": ("c1", "c2")}, {"output_columns": ["c1", "c2"]}),
        ({"webhook_url": "https://example.com/h"}, {"webhook_url": "https://example.com/h"}),
    ],
)
def test_the_body_of_a_run(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    body = run_grid("grid_001", {"c1": "Zoë {{ 1 }}", "c2": 7}, **changes).body
    assert body is not None
    assert json.loads(body) == {"mode": "async", "inputs": {"c1": "Zoë {{ 1 }}", "c2": 7}, **expected}


@pytest.mark.parametrize(
    "inputs",
    [[], "", "text", 7, {"a": float("nan")}, {"a": float("inf")}, {"a": {1}}, {"a": b"x"}, {(1,): 1}],
)
def test_inputs_that_are_no_json_object_are_refused(inputs: Any) -> None:
    with pytest.raises(InvalidRequestError, match="inputs"):
        run_grid("grid_001", inputs)


@pytest.mark.parametrize("given", [None, "ws_given"])
@pytest.mark.parametrize("configured", [None, "ws_configured"])
def test_the_workspace_given_goes_before_the_configured(given: str | None, configured: str | None) -> None:
    by = contract_for(ClientConfig(api_key=KEY, workspace_id=configured))
    if given or configured:
        assert by.get_workspace(given).label == f"GET /workspaces/{given or configured}"
    else:
        with pytest.raises(ConfigurationError, match="workspace_id is not set"):
            by.get_workspace(given)


def test_an_empty_workspace_id_is_not_taken_for_none() -> None:
    with pytest.raises(InvalidRequestError, match="workspace_id must be"):
        contract.get_workspace("")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b'{"status": ', b"{}", b"<html>", b"\xff", b"[" * 200_000]
)
@pytest.mark.parametrize("call", [case[0] for case in HEADERS.values()], ids=HEADERS.keys())
def test_a_success_that_is_not_as_documented_is_no_success(call: Call[Any], body: bytes) -> None:
    kind, words = (
        (UnreadableAcceptanceError, "is paid for") if call.paid else (TransportError, "not as expected")
    )
    with pytest.raises(kind, match=words) as caught:
        call.read(CONFIG, 200, {}, body)
    assert (caught.value.status, caught.value.request) == (200, call.label)
    assert call.paid == (call.method == "POST")


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (doc.ACCEPTED_RUN, True),
        (doc.SYNC_RUN, True),
        ({"mode": "async", "status": "queued"}, False),
        ({"status": "queued"}, False),
        ({"mode": "async", "status": "queued", "run_id": ""}, False),
        ({"mode": "async", "status": "queued", "run_id": None}, False),
    ],
)
def test_a_run_is_accepted_only_with_an_id_or_an_answer(answer: dict[str, Any], accepted: bool) -> None:
    call = run_grid("grid_001")
    if accepted:
        assert call.read(CONFIG, 201, {}, json.dumps(answer).encode()).raw == answer
    else:
        with pytest.raises(UnreadableAcceptanceError, match="the id of the run is missing") as caught:
            call.read(CONFIG, 200, {}, json.dumps(answer).encode())
        assert all(name in caught.value.message for name in answer), "what was answered is told"


def test_what_was_answered_is_told_without_secrets_and_cut() -> None:
    answer = {"ticket": "t-17", "key": KEY, "note": "x" * 1000}
    with pytest.raises(UnreadableAcceptanceError) as caught:
        run_grid("grid_001").read(CONFIG, 201, {}, json.dumps(answer).encode())
    told = str(caught.value)
    assert "201" in told
    assert "keys ticket, key, note" in told
    assert "t-17" in told
    assert KEY not in told
    assert len(told) < 600


@pytest.mark.parametrize("status", [200, 201, 400, 500])
@pytest.mark.parametrize(
    "template", ['{{"error": {{"code": "C", "message": "bad key {}"}}, "id": "{}"}}', "<p>{}"]
)
def test_the_key_in_an_answer_reaches_neither_record_nor_error(status: int, template: str) -> None:
    body = template.format(KEY, KEY).encode()
    try:
        seen = repr(contract.get_current_user().read(CONFIG, status, {}, body).raw)
    except Exception as error:
        seen = repr(error) + str(error) + repr(vars(error))
    assert KEY not in seen


ACCEPTED: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "as documented": (
        {"mode": "async", "run_id": "run_7", "status": "queued", "poll_url": "x"},
        "run_7",
        "queued",
    ),
    "a status that is no text": ({"run_id": "run_7", "status": {"state": "queued"}}, "run_7", "queued"),
    "no status": ({"mode": "async", "run_id": "run_7"}, "run_7", "unknown"),
    "a number for an id": ({"mode": "async", "run_id": 7, "status": "queued"}, "7", "queued"),
    "an error beside the id": (
        {"run_id": "run_7", "error": {"code": "INSUFFICIENT_CREDITS"}},
        "run_7",
        "unknown",
    ),
    "sync": ({"mode": "sync", "status": "completed", "outputs": {}}, None, "completed"),
    "sync, no mode": ({"status": "completed", "outputs": {}}, None, "completed"),
    "failed at once": ({"status": "failed", "error": "no"}, None, "failed"),
}


@pytest.mark.parametrize(("answer", "run_id", "status"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_an_answer_that_names_the_run_or_holds_its_result_is_not_thrown_away(
    answer: dict[str, Any], run_id: str | None, status: str
) -> None:
    run = run_grid("g").read(CONFIG, 202, {}, json.dumps(answer).encode())
    assert (run.run_id, run.reported_status) == (run_id, status)

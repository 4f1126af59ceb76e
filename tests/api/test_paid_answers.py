"""What a submission was answered: an acceptance first, a refusal only where it surely is one, and told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api import ClientConfig, Run
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.api.errors import (
    InsufficientCreditsError,
    InvalidRequestError,
    UnreadableAcceptanceError,
)
from tests.support.clients import Opener
from tests.support.servers import answering, http_answer

KEY = "key-4c9f1b7de2a84f03b6d5"
RECEIPT = b'{"run_id": "run_77", "status": "queued"}'


def config(url: str = "https://bitscale.example/api/v1", contract: str = "v1.1.0") -> ClientConfig:
    workspace = "ws" if contract == "v1.1.0" else None
    return ClientConfig(api_key=KEY, workspace_id=workspace, base_url=url, api_contract=contract, timeout=2.0)


def read(body: Any, headers: dict[str, str] | None = None, *, polled: str | None = None) -> Run:
    """A 200 with this body, as the answer to a submission, or to a poll of a run."""
    contract = contract_for(config())
    call = contract.get_run("g", polled) if polled else contract.run_grid("g", {}, mode="async")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call.read(config(), 200, headers or {}, data)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": "INSUFFICIENT_CREDITS"}}, InsufficientCreditsError),
        ({"requestId": "trace-1", "error": {"code": "INSUFFICIENT_CREDITS"}}, InsufficientCreditsError),
        ({"status": "error", "code": "MISSING_REQUIRED_FIELD", "message": "m"}, InvalidRequestError),
        ({"error": {"code": "WEBHOOK_DELIVERY_FAILED"}}, UnreadableAcceptanceError),
        ({"status": "error", "message": "upstream timed out"}, UnreadableAcceptanceError),
        ({"error": {"code": "NEW_CODE"}}, UnreadableAcceptanceError),
    ],
)
def test_a_success_refuses_a_run_only_by_a_code_that_surely_does(
    body: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        read(body)


@pytest.mark.parametrize("code", ["WEBHOOK_DELIVERY_FAILED", "INSUFFICIENT_CREDITS", "INVALID_API_KEY"])
def test_an_error_beside_a_run_is_that_of_the_run(code: str) -> None:
    accepted = {"requestId": "run_77", "state": "queued", "error": {"code": code}}
    assert read(accepted).run_id == "run_77"
    failed = {"state": "failed", "error": {"code": code}}
    assert read(failed, polled="run_77").status == "failed"


@pytest.mark.parametrize("body", [b"", b"{}", b" \n", b"<html>Accepted</html>", b'{"run_id": null}'])
@pytest.mark.parametrize(
    "headers",
    [
        {"Location": "https://bitscale.example/api/v1/grids/g/runs/run_77"},
        {"content-location": "/api/v1/run/status/run_77"},
        {"X-BitScale-Run-Id": "run_77", "X-Request-Id": "trace-1"},
    ],
)
def test_a_header_tells_the_id_where_the_body_does_not(body: bytes, headers: dict[str, str]) -> None:
    run = read(body, headers)
    assert run.run_id == "run_77"
    assert run.unexpected


def test_headers_that_may_help_are_told() -> None:
    with pytest.raises(UnreadableAcceptanceError, match="X-Request-Id: trace-1"):
        read(b"{}", {"X-Request-Id": "trace-1", "Location": f"/x/{KEY}", "Server": "nginx"})
    with pytest.raises(UnreadableAcceptanceError) as caught:
        read(b"{}", {"Location": f"/x/{KEY}", "Server": "nginx"})
    assert KEY not in str(caught.value)
    assert "nginx" not in str(caught.value)


def test_the_id_in_the_body_counts_more_than_a_header() -> None:
    run = read(RECEIPT, {"Location": "/runs/run_78", "X-BitScale-Run-Id": "run_79"})
    assert (run.run_id, run.unexpected) == ("run_77", ())


NEARLY: dict[str, bytes] = {
    "Latin-1": '{"run_id": "run_77", "status": "queued", "note": "Zoë"}'.encode("latin-1"),
    "text behind it": RECEIPT + b"\n<!-- served by web-7 -->",
    "two objects": RECEIPT + b'\n{"more": 1}',
    "a control character": b'{"run_id": "run_77", "status": "queued", "note": "a\x07\nb"}',
    "a mark of its encoding": b"\xef\xbb\xbf" + RECEIPT,
    "UTF-16": RECEIPT.decode().encode("utf-16"),
}


@pytest.mark.parametrize("body", NEARLY.values(), ids=NEARLY.keys())
def test_what_is_nearly_json_is_read(body: bytes) -> None:
    assert read(body).run_id == "run_77"
    assert read(body, polled="run_77").status == "queued"


CUT: dict[str, bytes] = {
    "less than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n%s",
    "a chunk without an end": b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n%s\r\n",
    "no gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n%s",
    "no deflate": b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nConnection: close\r\n\r\n%s",
    "another encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nConnection: close\r\n\r\n%s",
}


@pytest.mark.parametrize("begin", CUT.values(), ids=CUT.keys())
def test_what_came_of_an_answer_that_broke_off_names_the_run(open_client: Opener, begin: bytes) -> None:
    with answering(begin % RECEIPT) as server:
        run = open_client(config(server.url))("run_grid", "g", {})
    assert (run.run_id, run.status) == ("run_77", "queued")
    assert len(server.received) == 1


def test_what_came_of_an_answer_that_broke_off_is_told(open_client: Opener) -> None:
    cut = b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"run_id": "run_77", "key": "' + KEY.encode()
    with answering(cut) as server, pytest.raises(UnreadableAcceptanceError) as caught:
        open_client(config(server.url))("run_grid", "g", {})
    assert "ended before it was whole" in str(caught.value)
    assert "run_77" in str(caught.value)
    assert KEY not in str(caught.value)


def test_an_acceptance_survives_the_oddest_headers(open_client: Opener) -> None:
    odd = "Date: Mon, 01 Jan 99999999999999 00:00:00 GMT\r\nX-RateLimit-Limit: 9\r\nX-RateLimit-Remaining: 8"
    answer = http_answer(RECEIPT, "200 OK", f"{odd}\r\nX-RateLimit-Reset: 99")
    with answering(answer) as server:
        assert open_client(config(server.url))("run_grid", "g", {}).run_id == "run_77"

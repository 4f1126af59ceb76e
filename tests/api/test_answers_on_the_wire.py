"""Answers as servers and gateways send them: both clients read the same, and refuse the same."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from airflow_provider_bitscale.api import (
    AmbiguousSubmitError,
    AuthenticationError,
    BitScaleError,
    ClientConfig,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    TransportError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.api.answer_body import MAX_ANSWER_BYTES, AnswerBody, BodyError
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID
from tests.support.clients import Opener, config_for, posts
from tests.support.servers import answering, http_answer, keeping

KEY = "key-4c9f1b7de2a84f03b6d5"
USER = json.dumps({"id": "usr_1"}).encode()
ACCEPTED = json.dumps({"mode": "async", "run_id": "run_1", "status": "queued"}).encode()


def bomb() -> bytes:
    """Four times more than a client keeps, in a thousandth of its size."""
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    mebibyte = b"a" * 2**20
    pieces = [compressor.compress(mebibyte) for _ in range(4 * MAX_ANSWER_BYTES // 2**20)]
    return b"".join([*pieces, compressor.flush()])


BOMB = bomb()


def config(url: str) -> ClientConfig:
    return ClientConfig(api_key=KEY, workspace_id="ws", base_url=url, timeout=5.0)


def ask_once(open_client: Opener, settings: ClientConfig) -> Any:
    return open_client(settings)("send", contract_for(settings).get_current_user(), patient=False)


def test_an_answer_that_ends_http_is_an_answer(open_client: Opener) -> None:
    with (
        answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n") as server,
        pytest.raises(AmbiguousSubmitError),
    ):
        open_client(config(server.url))("run_grid", "g", {})
    assert len(server.received) == 1


def test_a_paid_request_never_goes_over_a_connection_that_was_kept(open_client: Opener) -> None:
    answer = http_answer(ACCEPTED[:-1] + b', "id": "usr_1"}').replace(
        b"Connection: close", b"Connection: keep-alive"
    )
    with keeping(answer, 3) as server:
        client = open_client(config(server.url))
        client("get_current_user")
        client("get_current_user")
        for _ in range(3):
            assert client("run_grid", "g", {}).run_id == "run_1"
    first = {request.split(b": ")[0] for request in server.received if b"GET" in request}
    paid = [request.split(b": ")[0] for request in server.received if b"POST" in request]
    assert len(first) == 1, "reads keep theirs"
    assert len({*paid, *first}) == 4


def test_a_connection_that_was_just_closed_costs_a_read_no_more_than_another_attempt(
    open_client: Opener,
) -> None:
    with keeping(http_answer(USER).replace(b"Connection: close", b"Connection: keep-alive"), 1) as server:
        client = open_client(config(server.url))
        for _ in range(5):
            assert client("get_current_user").id == "usr_1"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(USER, mtime=0)),
        ("GZIP", gzip.compress(USER, mtime=0)),
        ("x-gzip", gzip.compress(USER, mtime=0)),
        ("gzip", gzip.compress(USER[:4], mtime=0) + gzip.compress(USER[4:], mtime=0)),
        ("gzip", gzip.compress(USER, mtime=0) + b"\0" * 9),
        ("deflate", zlib.compress(USER)),
        ("deflate", zlib.compress(USER)[2:-4]),
        ("identity", USER),
        ("gzip", USER),
        ("gzip, identity", gzip.compress(USER, mtime=0)),
        ("", gzip.compress(USER, mtime=0)),
        ("utf-8", gzip.compress(USER, mtime=0)),
        ("deflate", gzip.compress(USER, mtime=0)),
        ("gzip", zlib.compress(USER)),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_every_encoding_that_is_asked_for_is_read_whatever_the_header_calls_it(
    encoding: str, body: bytes, size: int
) -> None:
    gathered = AnswerBody(encoding)
    for start in range(0, len(body), size):
        gathered.add(body[start : start + size])
    assert gathered.end() == USER


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "body", [b"xplain text", gzip.compress(USER, mtime=0)[:-9], zlib.compress(USER)[:-5]]
)
def test_what_is_not_in_its_encoding_or_ends_within_it_cannot_be_read(encoding: str, body: bytes) -> None:
    def read() -> bytes:
        gathered = AnswerBody(encoding)
        gathered.add(body)
        return gathered.end()

    with pytest.raises(BodyError):
        read()


@pytest.mark.parametrize("length", [2**20 - 1, 2**20, 2**20 + 1, 2**20 + 257, 3 * 2**20])
def test_a_body_of_any_length_is_read_to_its_end(length: int) -> None:
    gathered = AnswerBody("gzip")
    gathered.add(gzip.compress(b"a" * length))
    assert gathered.end() == b"a" * length


def test_no_body_is_fine_in_any_encoding() -> None:
    assert AnswerBody("gzip").end() == b""


def test_the_encodings_that_are_read_are_asked_for(open_client: Opener) -> None:
    with answering(http_answer(gzip.compress(USER, mtime=0), "200 OK", "Content-Encoding: gzip")) as server:
        assert ask_once(open_client, config(server.url)).id == "usr_1"
    assert b"accept-encoding: gzip, deflate\r\n" in server.received[0].lower()


def test_no_more_is_kept_than_may_be() -> None:
    gathered = AnswerBody("gzip")
    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match="longer than 64 MiB"):
            gathered.add(BOMB)
        assert len(gathered.so_far) == 2**20, "what is told needs no second copy"
        assert tracemalloc.get_traced_memory()[1] < 1.5 * MAX_ANSWER_BYTES
    finally:
        tracemalloc.stop()


def test_an_answer_that_would_fill_the_memory_is_refused_and_one_that_was_paid_for_is_not_ambiguous(
    open_client: Opener,
) -> None:
    with answering(http_answer(BOMB, "200 OK", "Content-Encoding: gzip")) as server:
        with pytest.raises(TransportError, match="longer than 64 MiB"):
            ask_once(open_client, config(server.url))
        with pytest.raises(UnreadableAcceptanceError, match="longer than 64 MiB"):
            open_client(config(server.url))("run_grid", "g", {})
    failed = http_answer(BOMB, "500 Oh", "Content-Encoding: gzip")
    with answering(failed) as server, pytest.raises(AmbiguousSubmitError):
        open_client(config(server.url))("run_grid", "g", {})


NO_CREDITS = b'{"error": {"code": "INSUFFICIENT_CREDITS", "message": "none left"}}'
BAD_INPUT = b'{"error": {"code": "MISSING_REQUIRED_FIELD", "message": "no name"}}'
NO_WEBHOOK = b'{"error": {"code": "WEBHOOK_DELIVERY_FAILED", "message": "refused"}}'
BROKEN: dict[str, bytes] = {
    "less than announced": b"Content-Length: 500\r\n\r\n%s",
    "a chunk without an end": b"Transfer-Encoding: chunked\r\n\r\nff\r\n%s",
    "no deflate": b"Content-Encoding: deflate\r\nConnection: close\r\n\r\n%s",
}


@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (b"402 Payment Required", NO_CREDITS, InsufficientCreditsError),
        (b"402 Payment Required", NO_CREDITS[:20], InsufficientCreditsError),
        (b"400 Bad Request", BAD_INPUT, InvalidRequestError),
        (b"401 Unauthorized", b"", AuthenticationError),
        (b"400 Bad Request", BAD_INPUT[:20], AmbiguousSubmitError),
        (b"400 Bad Request", NO_WEBHOOK, AmbiguousSubmitError),
        (b"408 Request Timeout", b"{", AmbiguousSubmitError),
        (b"302 Found", b"{", AmbiguousSubmitError),
        (b"502 Bad Gateway", b"<html>", AmbiguousSubmitError),
    ],
)
def test_a_refusal_that_breaks_off_is_one_unless_a_run_may_have_started(
    open_client: Opener, status: bytes, body: bytes, kind: type[BitScaleError], rest: bytes
) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\n" + rest % body
    with answering(answer) as server, pytest.raises(BitScaleError) as caught:
        open_client(config(server.url))("run_grid", "g", {})
    assert caught.type is kind
    assert len(server.received) == 1


@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN.keys())
def test_a_429_that_breaks_off_was_not_processed_and_is_heeded(open_client: Opener, rest: bytes) -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\n"
    with answering(head + rest % b"slow down") as server:
        settings = config(server.url)
        client, call = open_client(settings), contract_for(settings).run_grid("g", {}, mode="async")
        with pytest.raises(RateLimitedError) as caught:
            client("send", call, patient=False)
        assert (caught.value.status, caught.value.retry_after) == (429, 60.0)
        with pytest.raises(RateLimitedError, match="no request may be sent"):
            client("send", call, patient=False)
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [200, 400, 402, 403, 404, 407, 502])
@pytest.mark.parametrize("body", ["<html>Please log in to the hotel's network</html>", ""])
def test_a_read_that_is_answered_without_json_is_sent_again(
    open_client: Opener, emulator: Emulator, status: int, body: str
) -> None:
    emulator.control.add_fault("status", status=status, body=body, on="get_grid", times=1)
    assert open_client(config_for(emulator))("get_grid", GRID_ID).id == GRID_ID
    assert len(emulator.control.requests()) == 2


def test_at_last_it_is_told_as_what_it_is(open_client: Opener, emulator: Emulator) -> None:
    emulator.control.add_fault("status", status=403, body="<h1>Denied by policy</h1>", on="get_grid")
    settings = config_for(emulator)
    with pytest.raises(TransportError, match=r"403.*not an answer of BitScale.*Denied by policy") as caught:
        open_client(settings)("send", contract_for(settings).get_grid(GRID_ID), patient=False)
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, '{"error": {"code": "GRID_NOT_FOUND"}}', NotFoundError),
        (404, '"no such grid"', NotFoundError),
        (401, "Unauthorized", AuthenticationError),
    ],
)
def test_a_refusal_of_bitscale_is_final(
    open_client: Opener, emulator: Emulator, status: int, body: str, kind: type[Exception]
) -> None:
    emulator.control.add_fault("status", status=status, body=body, on="get_grid", times=1)
    with pytest.raises(kind):
        open_client(config_for(emulator))("get_grid", GRID_ID)
    assert len(emulator.control.requests()) == 1


def test_a_paid_request_that_a_gateway_refuses_is_not_sent_again(
    open_client: Opener, emulator: Emulator
) -> None:
    emulator.control.add_fault("status", status=403, body="<h1>Denied</h1>", on="run_grid", times=1)
    with pytest.raises(Exception, match="Denied"):
        open_client(config_for(emulator))("run_grid", GRID_ID, {FULL_NAME: "Jane"})
    assert len(posts(emulator)) == 1

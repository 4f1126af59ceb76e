"""Heads of answers as proxies and gateways send them: both clients read the same, and refuse the same."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from airflow_provider_bitscale.api import (
    AmbiguousSubmitError,
    ClientConfig,
    TransportError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.api.answer_head import plain_length, tidy_fields
from airflow_provider_bitscale.api.contracts import contract_for
from tests.support.clients import Opener, opener
from tests.support.servers import answering, http_answer, keeping

KEY = "key-4c9f1b7de2a84f03b6d5"
USER = json.dumps({"id": "usr_1"}).encode()
ACCEPTED = json.dumps({"mode": "async", "run_id": "run_1", "status": "queued"}).encode()


def config(url: str) -> ClientConfig:
    return ClientConfig(api_key=KEY, workspace_id="ws", base_url=url, timeout=5.0)


def ask_once(open_client: Opener, settings: ClientConfig) -> Any:
    return open_client(settings)("send", contract_for(settings).get_current_user(), patient=False)


HEADS: dict[str, tuple[bytes, ...]] = {
    "a long header": (b"HTTP/1.1 200 OK\r\nContent-Security-Policy: " + b"x" * 65_000 + b"\r\n",),
    "a long reason": (b"HTTP/1.1 200 " + b"x" * 60_000 + b"\r\n",),
    "many headers": (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(900)),),
    "many and long headers": (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"x" * 9_000) for i in range(150)),
    ),
    "90 hints": (b"HTTP/1.0 103 Early Hints\r\nConnection: close\r\n\r\n" * 90, b"HTTP/1.1 200 OK\r\n"),
    "another version": (b"HTTP/1.2 200 OK\r\n",),
    "a folded header": (b"HTTP/1.1 200 OK\r\nX-Via: a\r\n Content-Length: 1\r\n",),
    "a NUL": (b"HTTP/1.1 200 OK\r\nX-Via: a\0b\r\n",),
    "a bare CR": (b"HTTP/1.1 200 OK\r\nX-Via: a\rContent-Length: 1\r\n",),
    "a line that is no header": (b"HTTP/1.1 200 OK\r\nvia proxy\r\n: empty\r\nX y: z\r\n",),
    "bare LF": (b"HTTP/1.1 200 OK\nX-Via: a\n",),
    "processing": (b"HTTP/1.1 102 Processing\r\n\r\n" * 3, b"HTTP/1.1 200 OK\r\n"),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\n",),
    "some of each": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 X\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n",),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_the_head_of_an_answer_may_be(open_client: Opener, head: tuple[bytes, ...]) -> None:
    rest = b"Connection: close\r\nContent-Length: %d\r\n\r\n"
    with answering(*head, rest % len(USER) + USER) as server:
        assert ask_once(open_client, config(server.url)).id == "usr_1"
    with answering(*head, rest % len(ACCEPTED) + ACCEPTED) as server:
        assert open_client(config(server.url))("run_grid", "g", {}).run_id == "run_1"


def test_a_header_that_comes_twice_says_the_same_to_both(open_client: Opener) -> None:
    twice = [f"{name}: {value}" for name, value in [("Content-Encoding", "gzip"), ("X-Run-Id", "run_2")]] * 2
    with answering(http_answer(gzip.compress(ACCEPTED, mtime=0), "200 OK", *twice)) as server:
        assert open_client(config(server.url))("run_grid", "g", {}).run_id == "run_1"
    with answering(http_answer(b"", "200 OK", *twice[1:])) as server:
        assert open_client(config(server.url))("run_grid", "g", {}).run_id == "run_2"


@pytest.mark.parametrize("behind", [b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"x" * 9])
def test_what_comes_behind_an_answer_is_never_read_as_the_next(open_client: Opener, behind: bytes) -> None:
    kept = http_answer(USER).replace(b"Connection: close", b"Connection: keep-alive")
    with keeping(kept + behind, 3) as server:
        client = open_client(config(server.url))
        for _ in range(4):
            assert client("get_current_user").id == "usr_1"


def test_the_async_client_closes_a_connection_on_which_more_came_than_the_answer() -> None:
    kept = http_answer(USER).replace(b"Connection: close", b"Connection: keep-alive")
    with keeping(kept + b"x", 3) as server, opener("async") as open_client:
        client = open_client(config(server.url))
        for _ in range(3):
            client("get_current_user")
    assert server.connections == 3


def test_cookies_are_not_sent_back(open_client: Opener) -> None:
    with answering(http_answer(USER, "200 OK", "Set-Cookie: a=b; Path=/")) as server:
        client = open_client(config(server.url))
        client("get_current_user")
        client("get_current_user")
    assert b"cookie:" not in b"".join(server.received).lower()


N = len(ACCEPTED)
CHUNKED = b"%x\r\n%s\r\n0\r\n" % (N, ACCEPTED)
# Headers and body.
FRAMES: dict[str, tuple[bytes, bytes]] = {
    "two equal lengths": (b"Content-Length: %d\r\nContent-Length: %d" % (N, N), ACCEPTED),
    "a list of equal lengths": (b"Content-Length: %d, %d" % (N, N), ACCEPTED),
    "lengths that differ": (b"Content-Length: 1\r\nContent-Length: %d" % N, ACCEPTED),
    "a length, and chunked": (b"Content-Length: %d\r\nTransfer-Encoding: chunked" % N, CHUNKED + b"\r\n"),
    "a blank before the colon": (b"Content-Length : %d\r\nX-Via\t: a" % N, ACCEPTED),
    "identity": (b"Transfer-Encoding: identity\r\nContent-Length: %d" % N, ACCEPTED),
    "identity alone": (b"Transfer-Encoding: identity", ACCEPTED),
    "chunked twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: Chunked", CHUNKED + b"\r\n"),
    "a plus sign": (b"Content-Length: +%d" % N, ACCEPTED),
    "an empty length": (b"Content-Length:", ACCEPTED),
    "a negative length": (b"Content-Length: -1", ACCEPTED),
    "bytes behind the body": (b"Connection: close\r\nContent-Length: %d" % N, ACCEPTED + b"\r\nx\r\n\r\n"),
    "another answer behind it": (b"Content-Length: %d" % N, ACCEPTED + b"HTTP/1.1 400 Bad\r\n\r\n"),
    "200 trailers": (b"Transfer-Encoding: chunked", CHUNKED + b"X-Via: a\r\n" * 200 + b"\r\n"),
    "a trailer that is none": (b"Transfer-Encoding: chunked", CHUNKED + b"via proxy\r\n\r\n"),
    "a chunk that is none": (b"Transfer-Encoding: chunked", CHUNKED.replace(b"\r\n0", b"\r\nzz")),
    "no end of a chunk": (b"Transfer-Encoding: chunked", CHUNKED.replace(b"\r\n0", b"0")),
    "no last chunk": (b"Transfer-Encoding: chunked", CHUNKED.replace(b"0\r\n", b"")),
}


@pytest.mark.parametrize(("headers", "body"), FRAMES.values(), ids=FRAMES.keys())
def test_the_run_is_read_however_the_body_is_framed(open_client: Opener, headers: bytes, body: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body) as server:
        assert open_client(config(server.url))("run_grid", "g", {}).run_id == "run_1"


# What is refused, and what the error says of it.
NO_HEADS: dict[str, tuple[bytes, str]] = {
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"X-Via: a\r\n" * 1001 + b"\r\n", "too many"),
    "too long a header": (b"HTTP/1.1 200 OK\r\nX-Via: " + b"x" * 66_000 + b"\r\n\r\n", "too long|more than"),
    "too many hints": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 150 + http_answer(ACCEPTED), "too many"),
    "no head": (ACCEPTED + b"\r\n", "run_1"),
    "no line": (ACCEPTED, "run_1"),
    "another protocol": (b"SSH-2.0-x\r\n", "SSH-2.0"),
}


@pytest.mark.parametrize(("answer", "told"), NO_HEADS.values(), ids=NO_HEADS.keys())
def test_a_head_that_cannot_be_read_is_told_as_it_came_and_not_as_a_400(
    open_client: Opener, answer: bytes, told: str
) -> None:
    with answering(answer) as server, pytest.raises(AmbiguousSubmitError, match=f"(?i){told}") as caught:
        open_client(config(server.url))("run_grid", "g", {})
    assert caught.value.status is None
    assert "400" not in str(caught.value)


def test_a_head_that_breaks_off_has_told_the_status(open_client: Opener) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Ty") as server, pytest.raises(UnreadableAcceptanceError):
        open_client(config(server.url))("run_grid", "g", {})


@pytest.mark.parametrize(
    ("lines", "tidied"),
    [
        ([], []),
        ([b"A: b", b"a:c", b"A: b"], [b"A: b, c"]),
        ([b"Set-Cookie: a=b", b"set-cookie: c=d"], []),
        ([b"A: " + b"x" * 40_000, b"A: " + b"y" * 40_000], [b"A: " + b"x" * 40_000]),
        ([b"Connection: keep-alive", b"Content-Length: 7, 8"], [b"Content-Length: 8", b"Connection: close"]),
        ([b"A: b", b"\tc ", b" d"], [b"A: b c d"]),
        ([b" folded into nothing", b"no header", b"(: a", b": a", b"A:"], [b"A: "]),
        ([b"A : \x00b\rc\x7f"], [b"A: b c"]),
        ([b"content-length: 7 ,7", b"Content-Length:7"], [b"Content-Length: 7"]),
        ([b"Content-Length: 0"], [b"Content-Length: 0"]),
        ([b"Content-Length: x"], []),
        ([b"Content-Length: 7, 8"], [b"Content-Length: 8", b"Connection: close"]),
        (
            [b"Transfer-Encoding: gzip, CHUNKED", b"Content-Length: 7"],
            [b"Transfer-Encoding: chunked", b"Connection: close"],
        ),
        ([b"Transfer-Encoding: identity", b"Content-Length: 7"], [b"Content-Length: 7"]),
    ],
)
def test_header_lines_are_tidied(lines: list[bytes], tidied: list[bytes]) -> None:
    assert tidy_fields(lines) == tidied
    assert sorted(tidy_fields(tidied)) == sorted(tidied)


PLAIN = b"HTTP/1.1 202 Accepted\r\nDate: Thu, 15 Jan 2026 10:30:05 GMT\r\ncontent-length: 17\r\n\r\n"


def test_a_plain_head_tells_how_long_the_answer_is() -> None:
    assert plain_length(PLAIN) == plain_length(PLAIN + b"{") == len(PLAIN) + 17
    assert tidy_fields(PLAIN.splitlines()[1:-1]) == [
        b"Date: Thu, 15 Jan 2026 10:30:05 GMT",
        b"Content-Length: 17",
    ]


@pytest.mark.parametrize(
    ("plain", "odd"),
    [
        (b"\r\n\r\n", b"\r\n"),
        (b"\r\n", b"\n"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1"),
        (b"202", b"204"),
        (b"202", b"500"),
        (b"Date: ", b"Date : "),
        (b"Date: ", b"Date:"),
        (b"Date: ", b"Date: \x00"),
        (b"Date: ", b"Date: \xff"),
        (b"Date: ", b" Date: "),
        (b"Date: ", b"Content-Length: 17\r\nDate: "),
        (b"Date: ", b"Set-Cookie: a=b\r\nDate: "),
        (b"Date: ", b"Transfer-Encoding: chunked\r\nDate: "),
        (b"Date: ", b"Upgrade: h2c\r\nDate: "),
        (b"Date: ", b"no header\r\nDate: "),
        (b" GMT", b" GMT "),
        (b"content-length", b"length"),
        (b"17", b"+17"),
        (b"17", b"17, 17"),
        (b"17", b"1" * 19),
    ],
)
def test_a_head_that_may_have_to_be_tidied_is_not_plain(plain: bytes, odd: bytes) -> None:
    assert plain_length(PLAIN.replace(plain, odd, 1)) is None


def test_a_server_that_informs_for_ever_is_given_up(open_client: Opener) -> None:
    with answering(b"HTTP/1.1 102 Processing\r\n\r\n" * 200) as server, pytest.raises(TransportError):
        ask_once(open_client, config(server.url))

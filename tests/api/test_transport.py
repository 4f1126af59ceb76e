"""What happens below HTTP: silence, garbage, proxies, certificates. Both clients, exact bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import (
    AmbiguousSubmitError,
    AsyncClient,
    Client,
    ClientConfig,
    TransportError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID
from tests.support.certificates import self_signed, server_tls
from tests.support.clients import Opener, config_for, posts
from tests.support.servers import answering, http_answer, relay

KEY = "key-4c9f1b7de2a84f03b6d5"


def config(url: str, **changes: Any) -> ClientConfig:
    return ClientConfig(**{"api_key": KEY, "workspace_id": "ws", "base_url": url, "timeout": 2.0, **changes})


def ask_once(open_client: Opener, settings: ClientConfig) -> Any:
    """One attempt at a harmless call, by a new client."""
    return open_client(settings)("send", contract_for(settings).get_current_user(), patient=False)


GARBAGE: dict[str, tuple[bytes | float, ...]] = {
    "nothing": (),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n",),
    "zeros": (b"\x00" * 64,),
    "no such status": (b"HTTP/1.1 2OO OK\r\n\r\n",),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Le",),
    "header without an end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",),
    "no such length": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",),
    "less than announced": (b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"status": "queued"}',),
    "half a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}",),
    "no such chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",),
    "not gzip": (http_answer(b'{"status": "queued"}', "200 OK", "Content-Encoding: gzip"),),
    "not UTF-8": (http_answer(b'{"status": "\xff\xfe"}'),),
    "a page": (http_answer(b"<html>Welcome to the hotel's network</html>"),),
    "no content": (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",),
    "deep": (http_answer(b"[" * 100_000),),
    "key in a broken header": (b"HTTP/1.1 200 OK\r\nX: " + KEY.encode() + b"\x00\x01\r\n\r\n",),
    "key in a broken status": (b"HTTP/1.1 " + KEY.encode() + b"\r\n\r\n",),
    "malformed redirect": (http_answer(b"", "302 Found", "Location: http://[::1/" + KEY),),
}


# Of these the success is known whichever library reads them: the run was accepted, and is paid for.
SUCCESSES = ("less than announced", "half a chunk", "not gzip", "not UTF-8", "a page", "no content", "deep")


@pytest.mark.parametrize("name", GARBAGE)
def test_whatever_comes_is_an_error_of_ours(open_client: Opener, name: str) -> None:
    answers = GARBAGE[name]
    with answering(*answers) as server:
        with pytest.raises(TransportError) as caught:
            ask_once(open_client, config(server.url))
        assert caught.value.sent
        assert KEY not in repr(caught.value) + str(caught.value) + repr(caught.value.fields())
        assert caught.value.__cause__ is None
        with pytest.raises((AmbiguousSubmitError, UnreadableAcceptanceError)) as paid:
            open_client(config(server.url))("run_grid", "g", {})
        if name in SUCCESSES:
            assert paid.type is UnreadableAcceptanceError
        assert KEY not in str(paid.value)
    assert [request.split()[0] for request in server.received].count(b"POST") == 1


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((5.0,), id="silence"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", 5.0), id="silence midway"),
    ],
)
def test_a_timeout_is_honoured(open_client: Opener, answers: tuple[bytes | float, ...]) -> None:
    with answering(*answers) as server:
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            ask_once(open_client, config(server.url, timeout=0.3))
        assert 0.25 < time.monotonic() - started < 1.5
        assert caught.value.sent


def test_a_run_may_take_longer_than_other_calls(open_client: Opener, emulator: Emulator) -> None:
    emulator.control.add_fault("latency", seconds=0.4, on="run_grid")
    client = open_client(config_for(emulator, timeout=0.2))
    assert client("run_grid", GRID_ID, {FULL_NAME: "Jane"}, mode="sync").outputs
    assert client("run_grid", GRID_ID, {FULL_NAME: "Jane"}, timeout=5).run_id
    with pytest.raises(AmbiguousSubmitError):
        client("run_grid", GRID_ID, {FULL_NAME: "Jane"})


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_request_that_never_left_is_known_as_such(open_client: Opener, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportError) as caught:
        ask_once(open_client, config(f"http://{host}:{port}", allow_insecure_http=True))
    assert not caught.value.sent
    assert caught.value.request == "GET /user/me"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_certificate_of_no_known_authority_is_refused_before_the_key_leaves(
    open_client: Opener, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    user = http_answer(json.dumps({"id": "usr_1"}).encode())
    with answering(user, tls=server_tls(certificate)) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(TransportError) as caught:
            ask_once(open_client, config(url))
        assert not caught.value.sent
        assert server.received == []
        for verify in (str(certificate), False):
            assert open_client(config(url, verify=verify))("get_current_user").id == "usr_1"


def test_a_server_without_tls_does_not_get_the_key(open_client: Opener) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, pytest.raises(TransportError):
        ask_once(open_client, config(server.url.replace("http://", "https://"), timeout=0.3))
    assert not any(KEY.encode() in received for received in server.received)


def test_a_proxy_is_used_where_one_is_set(open_client: Opener, emulator: Emulator) -> None:
    port = int(emulator.url.rsplit(":", 1)[1])
    with relay(port) as proxy:
        client = open_client(config_for(emulator, proxies={"http": proxy.url}))
        assert client("get_current_user").id == "usr_abc123"
    assert b"".join(proxy.received).startswith(f"GET {emulator.base_url}/user/me HTTP/1.1".encode())


def test_an_answer_lost_behind_a_proxy_is_ambiguous(open_client: Opener, emulator: Emulator) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid")
    with relay(int(emulator.url.rsplit(":", 1)[1])) as proxy:
        client = open_client(config_for(emulator, proxies={"http": proxy.url}))
        with pytest.raises(AmbiguousSubmitError):
            client("run_grid", GRID_ID, {FULL_NAME: "Jane"})
    assert len(posts(emulator)) == 1
    assert emulator.control.state()["runs_paid"] == 1


def test_a_proxy_that_is_not_there_was_never_sent_anything(open_client: Opener, emulator: Emulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportError) as caught:
        ask_once(open_client, config_for(emulator, proxies={"http": f"http://127.0.0.1:{port}"}))
    assert not caught.value.sent
    assert emulator.control.requests() == []


def test_the_environment_adds_nothing_of_its_own(
    open_client: Opener, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert open_client(config_for(emulator))("get_current_user").id == "usr_abc123"
    assert "authorization" not in dict(emulator.control.requests()[0]["headers"])


def test_a_client_is_closed_and_says_so_when_it_is_not_open() -> None:
    with Client(config("http://127.0.0.1:1")) as client:
        assert KEY not in repr(client) + repr(vars(client))
    closed = AsyncClient(config("http://127.0.0.1:1"))
    assert KEY not in repr(closed) + repr(vars(closed))
    with pytest.raises(RuntimeError, match="context manager"):
        asyncio.run(closed.get_current_user())


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        pytest.param(b"", b"H", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x", id="a header"),
        pytest.param(b"", b"HTTP/1.1 102 Processing\r\n\r\n", id="informational"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
    ],
)
def test_an_answer_that_trickles_for_ever_is_given_up(open_client: Opener, begin: bytes, drop: bytes) -> None:
    drops: list[bytes | float] = [drop, 0.2] * 50
    with answering(begin, *drops) as server:
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            ask_once(open_client, config(server.url, timeout=0.5))
        assert time.monotonic() - started < 5
        assert caught.value.sent


def test_a_proxy_that_refuses_was_sent_nothing_of_ours_and_keeps_its_password(open_client: Opener) -> None:
    with answering(http_answer(b"", "407 Proxy Authentication Required")) as proxy:
        through = proxy.url.replace("http://", "http://user:hunter22@")
        with pytest.raises(TransportError) as caught:
            ask_once(open_client, config("https://bitscale.example", proxies={"https": through}))
    assert not caught.value.sent
    assert "hunter22" not in str(caught.value) + repr(caught.value)

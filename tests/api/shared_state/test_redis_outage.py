"""A Redis that dies, hangs, or is something else: nobody waits for it, and it is back by itself."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, Turn
from airflow_provider_bitscale.api.shared_state.backend import Backend, UnavailableError
from airflow_provider_bitscale.api.shared_state.redis_backend import RedisBackend
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.support.redis import Redis
from tests.support.waiting import wait_until

ASK = Book(0.2, 0.2, assumed=True)
# Half a second, on a busy machine.
SOON = 5.0


def book(backend: Backend) -> Turn:
    return backend.apply("limit", ASK)


def test_it_dies_and_is_back_by_itself(redis_server: Redis, caplog: pytest.LogCaptureFixture) -> None:
    state = SharedState(RedisBackend(redis_server.url))
    assert state.ask(book)
    redis_server.kill()
    began = time.monotonic()
    assert [state.ask(book) for _ in range(1000)] == [None] * 1000
    assert time.monotonic() - began < SOON
    assert len(_warnings(caplog)) == 1
    redis_server.restart()
    turn = wait_until(lambda: state.ask(book), "it to be back")
    assert turn.used == 1, "the server knows neither book nor script any more"
    assert len(_warnings(caplog)) == 1, "one warning a minute"


def test_a_server_that_hangs_is_waited_for_once(
    redis_server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    known, fresh = (SharedState(RedisBackend(redis_server.url)) for _ in range(2))
    assert known.ask(book)
    with redis_server.frozen():
        for state in (known, fresh):
            began = time.monotonic()
            assert [state.ask(book) for _ in range(1000)] == [None] * 1000
            assert 0.4 < time.monotonic() - began < SOON
    assert len(_warnings(caplog)) == 2
    wait_until(lambda: known.ask(book), "it to be back")


def test_nothing_is_asked_twice_by_the_library() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backend = RedisBackend(f"redis://:word@127.0.0.1:{silent.getsockname()[1]}/0")
        with pytest.raises(UnavailableError, match="Timeout"):
            backend.apply("limit", ASK)
        silent.settimeout(0.1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_no_event_loop_waits_for_a_server_that_hangs(redis_server: Redis) -> None:
    async def turns_of_the_loop() -> int:
        state = SharedState(RedisBackend(redis_server.url))
        assert await state.ask_async(book)
        with redis_server.frozen():
            asked = asyncio.gather(*(state.ask_async(book) for _ in range(50)))
            turns = 0
            while not asked.done():
                await asyncio.sleep(0.01)
                turns += 1
        assert await asked == [None] * 50
        return turns

    assert asyncio.run(asyncio.wait_for(turns_of_the_loop(), 60)) > 5


def bulk(text: str) -> bytes:
    """A text as Redis sends it."""
    return b"$%d\r\n%s\r\n" % (len(text), text.encode())


SECRET = "s3cret-of-somebody"
ANSWERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a word": b"+OK\r\n",
    "a number": b":5\r\n",
    "nothing": b"$-1\r\n",
    "another text": bulk("hello"),
    "a list": b"*2\r\n$1\r\n1\r\n:2\r\n",
    "lists in lists": b"*1\r\n" * 5000 + b":1\r\n",
    "no length": b"$many\r\n",
    "too few numbers": bulk("1 0 1"),
    "a number too many": bulk("1 0 0 3 0 0 0 0 0 0"),
    "a wait that is no number": bulk("1 0 0 3 nan 0 0 0 0"),
    "a wait without end": bulk("1 0 0 3 inf 0 0 0 0"),
    "a wait of years": bulk("1 0 0 3 1e9 0 0 0 0"),
    "a wait that is over": bulk("1 0 0 3 -1 0 0 0 0"),
    "fewer than no slots": bulk("1 0 -1 3 0 0 0 0 0"),
    "half a slot": bulk("1 0 0.5 -1 0 0 0 0 0"),
    "half a ticket": bulk("1 0 0 0.5 0 0 0 0 0"),
    "slots without end": bulk("1 0 inf -1 0 0 0 0 0"),
    "an error": b"-ERR what is that\r\n",
    "an error that repeats what was sent": f"-ERR unknown command, beginning with: {SECRET}\r\n".encode(),
    "an end": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_no_answer_is_none(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with answering(answer) as port:
        backend = RedisBackend(f"redis://:{SECRET}@127.0.0.1:{port}/0")
        with pytest.raises(UnavailableError) as raised:
            backend.apply("limit", ASK)
        assert SECRET not in str(raised.value)
        for question in (book, _get, _put, _claim, _delete):
            SharedState(backend).ask(question)
    assert SECRET not in caplog.text


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that takes any password, and says the same to everything else; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, answer), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            while data := connection.recv(100_000):
                connection.sendall(
                    b"+OK\r\n" if b"AUTH" in data and SECRET.encode() not in answer else answer
                )
                if not answer:
                    break


def _get(backend: Backend) -> bytes | None:
    return backend.get("value")


def _put(backend: Backend) -> None:
    backend.put("value", b"mine", 60)


def _claim(backend: Backend) -> bool:
    return backend.claim("name", 60)


def _delete(backend: Backend) -> None:
    backend.delete("name")


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

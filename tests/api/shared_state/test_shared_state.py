"""Asking for shared state: with patience, from threads and event loops, and without while it is away."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, Operation, Turn
from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS
from airflow_provider_bitscale.api.shared_state import location, shared_state
from airflow_provider_bitscale.api.shared_state.backend import Backend, UnavailableError
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.shared_state import PATIENCE_SECONDS, SharedState
from tests.api.shared_state.conftest import Counts
from tests.support.forks import in_fork
from tests.support.waiting import wait_until

NO_PACE = Book(gap=0.0, behind=0.0)
Asker = Callable[[SharedState, Callable[[Backend], object]], object]


class Remote:
    """A backend as far away as Redis, that does as it is told."""

    blocks: ClassVar[bool] = True

    def __init__(self) -> None:
        self.scope = "all who use it"
        self.takes = 0.0
        self.error: Exception | None = None
        self.asked = 0

    def apply(self, name: str, operation: Operation) -> Turn:
        self.asked += 1
        time.sleep(self.takes)
        if self.error:
            raise self.error
        return Turn(1, -1, 0.0, 0.0, 0.0, 0.0, 0.0)

    def get(self, name: str) -> bytes | None:
        raise NotImplementedError

    def put(self, name: str, value: bytes, seconds: float) -> None:
        raise NotImplementedError

    def claim(self, name: str, seconds: float) -> bool:
        raise NotImplementedError

    def delete(self, name: str) -> None:
        raise NotImplementedError


def book(backend: Backend) -> bool:
    return backend.apply("limit", NO_PACE).wait < 1


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Asker:
    """Asks in either way."""
    if request.param == "sync":
        return lambda state, question: state.ask(question)
    return lambda state, question: asyncio.run(state.ask_async(question))


@pytest.fixture
def remote() -> Remote:
    return Remote()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The lock of the limit's file, as another process has it."""
    [path] = folder.glob("limit.*")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_it_asks(ask: Asker, backend: FileBackend, remote: Remote) -> None:
    assert ask(SharedState(backend), book) is True
    assert ask(SharedState(remote), book) is True


def test_it_is_patient_for_a_while(
    ask: Asker, backend: FileBackend, folder: Path, counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    state = SharedState(backend)
    ask(state, book)
    began = time.monotonic()
    with held(folder):
        assert ask(state, book) is None
    assert PATIENCE_SECONDS <= time.monotonic() - began < PATIENCE_SECONDS + 5.0
    assert counts.names == [SHARED_STATE_ERRORS]
    assert "other processes do not let go of it" in caplog.text


def test_it_gets_its_turn_when_the_other_is_done(ask: Asker, backend: FileBackend, folder: Path) -> None:
    state = SharedState(backend)
    ask(state, book)
    with ThreadPoolExecutor(1) as other, held(folder):
        asked = other.submit(ask, state, book)
        time.sleep(0.1)
        assert not asked.done()
    assert asked.result(timeout=60) is True


@pytest.mark.parametrize("error", [UnavailableError("no answer"), OSError("no answer")], ids=["away", "file"])
def test_what_is_away_is_not_asked_for_a_moment_and_comes_back_by_itself(
    ask: Asker,
    remote: Remote,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    monkeypatch.setattr(shared_state, "AWAY_SECONDS", 3600.0)
    state = SharedState(remote)
    remote.error = error
    assert [ask(state, book) for _ in range(3)] == [None, None, None]
    assert remote.asked == 1
    assert counts.names == [SHARED_STATE_ERRORS]
    monkeypatch.setattr(shared_state, "AWAY_SECONDS", 0.05)
    state = SharedState(remote)
    assert ask(state, book) is None
    remote.error = None
    wait_until(lambda: ask(state, book), "what was away is asked again")


def test_what_was_slow_to_fail_is_left_alone_for_longer(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_state, "AWAY_SECONDS", 0.0)
    monkeypatch.setattr(shared_state, "AWAY_FACTOR", 1e4)
    state = SharedState(remote)
    remote.error, remote.takes = UnavailableError("no answer"), 0.05
    assert [state.ask(book), state.ask(book)] == [None, None]
    assert remote.asked == 1


def test_no_line_is_waited_in_for_what_is_away(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_state, "AWAY_SECONDS", 3600.0)
    state = SharedState(remote)
    remote.error = UnavailableError("no answer")
    state.ask(book)
    ends = threading.Event()
    state._executor.submit(ends.wait, 60.0)
    assert asyncio.run(asyncio.wait_for(state.ask_async(book), 20.0)) is None
    ends.set()


def test_it_warns_once_a_minute(
    state: SharedState, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, counts: Counts
) -> None:
    def fails(_: Backend) -> None:
        raise UnavailableError("no answer")

    for _ in range(5):
        state.ask(fails)
    assert len(counts.names) == 5
    [warning] = caplog.records
    assert warning.levelno == logging.WARNING
    assert "no answer" in warning.getMessage()
    monkeypatch.setattr(shared_state, "WARNING_SECONDS", 0.0)
    state.ask(fails)
    assert len(caplog.records) == 2


def test_the_scope_is_told_once_a_process(
    state: SharedState, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, shared_state.log.name)

    def told() -> list[str]:
        caplog.clear()
        state.ask(book)
        state.ask(book)
        return [record.getMessage() for record in caplog.records]

    scope = f"The rate limit is shared by the processes of this user that share the folder {folder}"
    assert told() == [scope]
    assert told() == []
    assert in_fork(told) == [scope], "a fork is a process of its own, as a task is"
    assert told() == []


def test_the_scope_is_told_once_by_many_threads(state: SharedState, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, shared_state.log.name)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: state.ask(book), range(200)))
    assert answers == 200 * [True]
    assert len(caplog.records) == 1


async def ticks_during(asked: asyncio.Task[bool | None]) -> int:
    """How often the event loop comes round until the question is answered."""
    ticks = 0
    while not asked.done():
        await asyncio.sleep(0.005)
        ticks += 1
    return ticks


def test_no_event_loop_waits_for_another_process(backend: FileBackend, folder: Path) -> None:
    state = SharedState(backend)
    state.ask(book)

    async def ask() -> tuple[int, bool | None]:
        asked = asyncio.create_task(state.ask_async(book))
        return await ticks_during(asked), await asked

    with held(folder):
        ticks, answer = asyncio.run(ask())
    assert answer is None
    assert ticks >= 5


def test_no_event_loop_waits_for_what_is_far_away(remote: Remote) -> None:
    remote.takes = 0.3

    async def ask() -> tuple[int, bool | None]:
        asked = asyncio.create_task(SharedState(remote).ask_async(book))
        return await ticks_during(asked), await asked

    ticks, answer = asyncio.run(ask())
    assert answer is True
    assert ticks >= 5


def test_a_line_that_is_too_long_is_not_waited_in(remote: Remote, counts: Counts) -> None:
    remote.takes = 0.2
    state = SharedState(remote)

    async def ask() -> list[bool | None]:
        return await asyncio.gather(*(state.ask_async(book) for _ in range(20)))

    began = time.monotonic()
    answers = asyncio.run(ask())
    assert answers[0] is True
    assert answers[-1] is None
    assert time.monotonic() - began < 3.0
    assert counts.names == [], "it is slow, and not away"


def test_a_forked_process_asks_with_a_thread_of_its_own(remote: Remote) -> None:
    state = SharedState(remote)

    def ask() -> bool | None:
        return asyncio.run(asyncio.wait_for(state.ask_async(book), 20.0))

    assert ask() is True
    assert in_fork(ask) is True


def test_no_lock_stays_locked_in_a_forked_process(
    backend: FileBackend, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = SharedState(backend)
    monkeypatch.setattr(location, "_states", {None: state})
    with state._lock:
        assert in_fork(lambda: location.shared_state_of(None) is state and state.ask(book)) is True


def test_threads_and_forks_at_once(backend: FileBackend, remote: Remote) -> None:
    """Whatever moment of a booking a fork comes in, neither process is held up by it."""
    states = [SharedState(backend), SharedState(remote)]
    # All is logged before a fork: what a thread prints just then, Python itself keeps locked in the child.
    assert [state.ask(book) for state in states] == [True, True]
    ends = threading.Event()

    def ask_on() -> int:
        asked = 0
        while not ends.is_set():
            assert [state.ask(book) for state in states] == [True, True]
            asked += 1
        return asked

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(ask_on) for _ in range(3)]
        try:
            for _ in range(20):
                assert in_fork(lambda: [state.ask(book) for state in states]) == [True, True]
        finally:
            ends.set()
        assert all(each.result(timeout=60) > 0 for each in asking)

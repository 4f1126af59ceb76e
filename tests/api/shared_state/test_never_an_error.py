"""Whatever goes wrong with shared state: no question raises or waits for long, and no paid answer waits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from airflow_provider_bitscale.api import ClientConfig
from airflow_provider_bitscale.api.limit.bookings import Book, Operation, Told, Turn
from airflow_provider_bitscale.api.shared_state import location
from airflow_provider_bitscale.api.shared_state.address import limit_name
from airflow_provider_bitscale.api.shared_state.backend import Backend
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.api.shared_state.shared_state import ANSWER_SECONDS, SharedState
from tests.support.clients import opener
from tests.support.servers import answering, http_answer
from tests.support.waiting import wait_until

KINDS = ("sync", "async")
LIMIT = "limit"
URL = "redis://far.example"


class FarAway(FileBackend):
    """State in files that is as slow as its orders are, and breaks where they say so."""

    blocks: ClassVar[bool] = True

    def __init__(self, folder: Path, told: Callable[[], object] = lambda: None) -> None:
        super().__init__(str(folder))
        self._on_told = told
        self.told = 0

    def apply(self, name: str, operation: Operation) -> Turn:
        if isinstance(operation, Told):
            self._on_told()
            self.told += 1
        return super().apply(name, operation)


def ask(kind: str, state: SharedState, question: Callable[[Backend], object]) -> object:
    return state.ask(question) if kind == "sync" else asyncio.run(state.ask_async(question))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [RecursionError, OverflowError, KeyError, ZeroDivisionError])
@pytest.mark.parametrize("backend", [FileBackend, FarAway])
def test_no_question_raises_whatever_its_backend_does(
    kind: str, error: type[Exception], backend: Callable[[Path], FileBackend], tmp_path: Path
) -> None:
    def question(backend: Backend) -> object:
        raise error

    state = SharedState(backend(tmp_path))
    assert ask(kind, state, question) is None
    state.tell(question)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_does_not_come_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    """As where a host's name is looked up, for which no time limit holds."""
    state, began = SharedState(FarAway(tmp_path)), time.monotonic()
    assert ask(kind, state, lambda backend: time.sleep(4 * ANSWER_SECONDS)) is None
    assert ask(kind, state, lambda backend: 1) is None, "it is away"
    assert time.monotonic() - began < 3 * ANSWER_SECONDS


def test_a_process_that_ends_asks_nothing_more_and_ends_well(tmp_path: Path) -> None:
    script = f"""
import asyncio, atexit, pathlib
from tests.api.shared_state.test_never_an_error import FarAway, SharedState
state = SharedState(FarAway(pathlib.Path({str(tmp_path)!r})))
assert state.ask(lambda backend: 1) == 1

def late():
    assert state.ask(lambda backend: 1) is None
    assert asyncio.run(state.ask_async(lambda backend: 1)) is None
    state.tell(lambda backend: 1)
    print("well")

atexit.register(late)
"""
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "well\n", done.stderr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [1e300, 1e18, 0.0])
def test_a_lifetime_of_any_length_is_no_error(kind: str, seconds: float, tmp_path: Path) -> None:
    hints = Hints(SharedState(FileBackend(str(tmp_path))), LIMIT)
    if kind == "sync":
        hints.put("kind", "grid", [1], seconds)
        assert hints.get("kind", "grid") == ([1] if seconds else None)
    else:
        asyncio.run(hints.aput("kind", "grid", [1], seconds))


@pytest.mark.parametrize(
    "text", [b"[" * 200_000, b'{"a":' * 40_000, b"9" * 200_000, b"\xff\xfe", b"nul", b""]
)
def test_a_value_of_any_shape_is_none(text: bytes, tmp_path: Path) -> None:
    state = SharedState(FileBackend(str(tmp_path)))
    hints = Hints(state, LIMIT)
    state.ask(lambda backend: backend.put(hints._name("kind", "grid"), text, 60.0))
    hints.get("kind", "grid")
    asyncio.run(hints.aget("kind", "grid"))


def _break() -> None:
    raise RecursionError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("told", [lambda: time.sleep(0.9), _break], ids=["slow", "broken"])
def test_the_id_of_a_paid_run_does_not_wait_until_others_are_told(
    kind: str, told: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = FarAway(tmp_path, told)
    monkeypatch.setitem(location._states, URL, SharedState(backend))
    headers = (
        "X-RateLimit-Limit: 60",
        "X-RateLimit-Remaining: 50",
        f"X-RateLimit-Reset: {time.time() + 30:.0f}",
    )
    answer = http_answer(b'{"run_id": "run_77", "status": "queued"}', "200 OK", *headers)
    with answering(answer) as server, opener(kind) as opened:
        config = ClientConfig(
            api_key="key-4c9f1b7de2a84f03b6d5", workspace_id="w", base_url=server.url, shared_state_url=URL
        )
        call = opened(config)
        began = time.monotonic()
        assert call("run_grid", "g", {}).run_id == "run_77"
        assert time.monotonic() - began < 0.8
    if told is not _break:
        wait_until(lambda: backend.told, "others to be told")
        book = SharedState(FileBackend(str(tmp_path))).ask(
            lambda files: files.apply(limit_name(config.base_url, "w", ""), Book(0.0, 0.0))
        )
        assert book is not None
        assert book.limit == 60

"""A run is polled first when it has probably ended, by what all processes know of other runs."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.errors import TransportError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from airflow_provider_bitscale.runs.outcome import COMPLETED, TIMED_OUT, Outcome
from airflow_provider_bitscale.runs.planned_polls import PlannedPolls
from airflow_provider_bitscale.runs.polling import RunDecision, Wait
from airflow_provider_bitscale.runs.run_lengths import KIND, read_lengths, share_lengths

GRID = "grid_001"
INTERVAL = 0.5


def run(status: str = "completed", completed_at: float | None = None) -> Run:
    """What a poll shows."""
    ended = completed_at and datetime.fromtimestamp(completed_at, timezone.utc).isoformat()
    outputs = {"a": 1} if status == "completed" else None
    return parse_run({"run_id": "r", "status": status, "outputs": outputs, "completed_at": ended})


class Polled:
    """A run of some length, or one that ends at a poll, which notes at what age it is polled."""

    def __init__(self, length: float = math.inf, *, ends_at_poll: int = 0) -> None:
        self.length = length
        self.ends_at_poll = ends_at_poll
        self.began = time.time()
        self.ages: list[float] = []

    def __call__(self) -> Run:
        self.ages.append(time.time() - self.began)
        has_ended = self.ages[-1] >= self.length or len(self.ages) == self.ends_at_poll
        return run("completed" if has_ended else "running")

    async def asynchronously(self) -> Run:
        return self()


@pytest.fixture
def hints(tmp_path: Path) -> Hints:
    """In a folder of their own."""
    return Hints(SharedState(FileBackend(str(tmp_path))), "limit")


def watched(hints: Hints, polled: Polled, kind: str, timeout: float = 60.0) -> Outcome:
    decision = RunDecision(polled.began + timeout, INTERVAL, "r")
    polls = PlannedPolls(hints, GRID, decision, polled.began)
    if kind == "sync":
        return polls.watch(polled)
    return asyncio.run(polls.watch_async(polled.asynchronously))


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@KINDS
def test_where_nothing_is_known_it_is_polled_after_an_interval_and_its_length_is_told(
    hints: Hints, kind: str
) -> None:
    polled = Polled(ends_at_poll=2)
    assert watched(hints, polled, kind).kind == COMPLETED
    assert polled.ages[0] >= INTERVAL - 0.1
    (length,) = read_lengths(hints, GRID)
    assert polled.ages[0] <= length <= polled.ages[1] + 0.01


@KINDS
def test_where_lengths_are_known_the_first_poll_finds_its_end(hints: Hints, kind: str) -> None:
    share_lengths(hints, GRID, [1.2] * 30)
    polled = Polled(1.2)
    assert watched(hints, polled, kind).kind == COMPLETED
    assert len(polled.ages) == 1
    assert len(read_lengths(hints, GRID)) == 31


@KINDS
def test_what_others_learn_before_the_first_poll_puts_it_off(
    hints: Hints, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Iterator[object] = iter([[]])

    def get(*_: str) -> object:
        return next(asked, [1.2] * 30)

    async def aget(*_: str) -> object:
        return get()

    monkeypatch.setattr(hints, "get", get)
    monkeypatch.setattr(hints, "aget", aget)
    polled = Polled(1.2)
    watched(hints, polled, kind)
    assert len(polled.ages) == 1


@KINDS
def test_the_deadline_counts_whatever_is_known(hints: Hints, kind: str) -> None:
    share_lengths(hints, GRID, [100.0] * 30)
    polled = Polled(100.0)
    assert watched(hints, polled, kind, timeout=0.3).kind == TIMED_OUT
    assert len(polled.ages) <= 2


@KINDS
@pytest.mark.parametrize("value", ["x", {"a": 1}, [None], [1e400]])
def test_garbage_changes_nothing(hints: Hints, kind: str, value: object) -> None:
    hints.put(KIND, GRID, value, 60)
    polled = Polled(0.1)
    assert watched(hints, polled, kind).kind == COMPLETED
    assert len(polled.ages) == 1


@pytest.mark.parametrize("submitted", [1e9, -1e9], ids=["set back", "set ahead"])
def test_a_clock_that_was_set_costs_no_more_than_an_interval(hints: Hints, submitted: float) -> None:
    polled = Polled(0.0)
    decision = RunDecision(time.time() + 60, INTERVAL, "r")
    assert PlannedPolls(hints, GRID, decision, time.time() + submitted).watch(polled).kind == COMPLETED
    assert polled.ages[0] < 10


def test_later_polls_are_no_more_than_an_interval_apart_and_errors_keep_their_pauses(hints: Hints) -> None:
    share_lengths(hints, GRID, [20.0] * 30)
    now = time.time()
    polls = PlannedPolls(hints, GRID, RunDecision(now + 1000, 5.0, "r"), now - 4.0)
    step = polls.after(run("running"), now, 0.0)
    assert isinstance(step, Wait)
    assert step.seconds <= 5.0
    step = polls.after(TransportError("lost", status=503, retry_after=30.0), now + 5, 0.0, 5.0)
    assert step == Wait(30.0)


def test_a_length_that_is_reported_counts_where_it_can_be_true(hints: Hints) -> None:
    began = float(int(time.time()) - 5)
    for completed_at, least, most in ((began + 1, 2.0, 2.0), (began + 100, 2.4, 5.1), (began - 50, 2.4, 5.1)):
        polls = PlannedPolls(hints, GRID, RunDecision(began + 60, 5.0, "r"), began)
        polls.watch(lambda at=completed_at: run(completed_at=at))  # type: ignore[misc]
        assert least <= read_lengths(hints, GRID)[-1] <= most + 2.0 * (least != most)

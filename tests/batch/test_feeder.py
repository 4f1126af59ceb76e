"""How many rows are announced before they are submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from airflow_provider_bitscale.batch.brake import Brake
from airflow_provider_bitscale.batch.budget import Budget
from airflow_provider_bitscale.batch.feeder import FEWEST_AHEAD, MOST_AHEAD, Feeder, rows_ahead
from airflow_provider_bitscale.batch.journal import Journal
from airflow_provider_bitscale.batch.output import RowsInMemory
from airflow_provider_bitscale.batch.planner import Planner
from airflow_provider_bitscale.batch.recorder import Recorder
from airflow_provider_bitscale.batch.records import INTENT
from airflow_provider_bitscale.batch.rows import Row, Segment
from airflow_provider_bitscale.batch.shelf import Shelf
from tests.batch.journals import HEAD
from tests.runs.test_ledger import JsonStore


@pytest.mark.parametrize(
    ("ahead", "left", "seconds", "then"),
    [
        pytest.param(8, 0, 0.2, 12, id="too few"),
        pytest.param(8, 1, 0.2, 8, id="few"),
        pytest.param(8, 4, 0.2, 8, id="enough"),
        pytest.param(40, 21, 0.2, 36, id="more than enough"),
        pytest.param(FEWEST_AHEAD, 3, 0.2, FEWEST_AHEAD, id="never fewer"),
        pytest.param(MOST_AHEAD, 0, 0.2, MOST_AHEAD, id="never more"),
        pytest.param(MOST_AHEAD, 0, 0.0, MOST_AHEAD, id="a store that takes no time"),
        pytest.param(MOST_AHEAD, 50, 0.8, 100, id="fewer, the slower the writes are"),
        pytest.param(MOST_AHEAD, 0, 2.0, 40, id="fewer even where none is left"),
        pytest.param(MOST_AHEAD, 0, 10.0, 8, id="few where a write takes long"),
        pytest.param(MOST_AHEAD, 0, 60.0, FEWEST_AHEAD, id="the fewest where it takes a minute"),
    ],
)
def test_rows_that_are_announced(ahead: int, left: int, seconds: float, then: int) -> None:
    assert rows_ahead(ahead, left, seconds) == then


@pytest.mark.parametrize("submitted", [1, 5, 12, 50])
def test_it_settles_at_two_to_four_times_what_is_submitted_in_a_turn(submitted: int) -> None:
    ahead, ready, shortages = FEWEST_AHEAD, 0, []
    for turn in range(60):
        group = max(0, ahead - ready)
        ready = max(0, ready - submitted)
        if not ready:
            shortages.append(turn)
        ahead = rows_ahead(ahead, ready, 0.2)
        ready += group
    assert all(turn < 15 for turn in shortages)
    assert 2 * submitted <= ahead <= max(FEWEST_AHEAD, 5 * submitted)


def test_rows_wait_to_be_announced_until_others_are_submitted() -> None:
    store, plan = JsonStore(), Planner(50, Budget(None), Brake(proven=True))
    journal = Journal(store, HEAD)
    shelf = _shelf(50, journal)

    async def run() -> None:
        recorder = Recorder(journal)
        feeder = Feeder(plan, shelf, recorder, finished=lambda _: None, happened=asyncio.Event())
        recording, feeding = asyncio.create_task(recorder.run()), asyncio.create_task(feeder.feed())
        # Writes take some of it; none is submitted.
        await asyncio.wait([feeding], timeout=1.0)
        for task in (feeding, recording):
            task.cancel()
        await asyncio.gather(feeding, recording, return_exceptions=True)

    asyncio.run(run())
    shelf.close()
    announced = _entries(store).count(INTENT)
    assert 0 < announced <= 2 * FEWEST_AHEAD
    assert plan.ready == announced


def _shelf(count: int, journal: Journal) -> Shelf:
    rows = tuple(Row(row, {"n": row}, {"c-n": row}, False) for row in range(count))
    segments = iter([Segment(0, rows)])
    return Shelf(count, count, segments, RowsInMemory(), journal, {}, parks_doubtful=True)


def _stop(feeder: Feeder, feeding: asyncio.Task[None]) -> None:
    feeder.stop()


def _cancel(feeder: Feeder, feeding: asyncio.Task[None]) -> None:
    feeding.cancel()


@pytest.mark.parametrize("end", [_stop, _cancel])
def test_rows_that_are_just_being_announced_are_taken_back(
    end: Callable[[Feeder, asyncio.Task[None]], None],
) -> None:
    store, plan = JsonStore(), Planner(9, Budget(None), Brake(proven=True))
    journal = Journal(store, HEAD)
    shelf = _shelf(9, journal)

    async def run() -> None:
        recorder = Recorder(journal)
        feeder = Feeder(plan, shelf, recorder, finished=lambda _: None, happened=asyncio.Event())
        await feeder.take_over()
        feeding = asyncio.create_task(feeder.feed())
        recording = asyncio.create_task(recorder.run())
        while INTENT not in _entries(store):
            await asyncio.sleep(0)
        end(feeder, feeding)
        await asyncio.wait([feeding], timeout=5)
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await recorder.write()

    asyncio.run(run())
    shelf.close()
    assert plan.ready == 0
    assert _entries(store) == [None] * 9


def _entries(store: JsonStore) -> list[str | None]:
    stored = store.get("bitscale_batch_b1_00000")
    return stored["entries"] if stored else []

"""How many rows are announced before they are submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.prefetch import FEWEST_AHEAD, MOST_AHEAD, Prefetch, rows_ahead
from airflow_provider_bitscale.batch.row_result import RowResult
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.journal_writer import JournalWriter
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED
from airflow_provider_bitscale.batch.store.segments import Segments
from airflow_provider_bitscale.batch.table.survey import Row, Segment
from airflow_provider_bitscale.batch.table.writers import RowsInMemory
from tests.batch.journals import BATCH
from tests.support.json_store import JsonStore


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
    store, plan = JsonStore(), Scheduler(50, Budget(None), Brake(proven=True))
    journal = Journal(store, BATCH)
    segments = _segments(50, journal)

    async def run() -> None:
        journal_writer = JournalWriter(journal)
        prefetch = _prefetch(plan, segments, journal_writer)
        recording, feeding = asyncio.create_task(journal_writer.run()), asyncio.create_task(prefetch.feed())
        # Writes take some of it; none is submitted.
        await asyncio.wait([feeding], timeout=1.0)
        for task in (feeding, recording):
            task.cancel()
        await asyncio.gather(feeding, recording, return_exceptions=True)

    asyncio.run(run())
    segments.close()
    announced = _entries(store).count(ANNOUNCED)
    assert 0 < announced <= 2 * FEWEST_AHEAD
    assert plan.ready == announced


def _prefetch(plan: Scheduler, segments: Segments, journal_writer: JournalWriter) -> Prefetch:
    def apply(
        row: BatchRow, event: Event, *, run_id: str | None = None, result: RowResult | None = None
    ) -> None:
        plan.apply(row, event, 0.0, run_id=run_id, result=result)
        journal_writer.note(row.segment, row.position, row.entry)

    return Prefetch(plan, segments, journal_writer, apply=apply, happened=asyncio.Event())


def _segments(count: int, journal: Journal) -> Segments:
    rows = tuple(Row(row, {"n": row}, {"c-n": row}, False) for row in range(count))
    segments = iter([Segment(0, rows)])
    return Segments(count, count, segments, RowsInMemory(), journal, {}, parks_ambiguous=True)


def _stop(prefetch: Prefetch, feeding: asyncio.Task[None]) -> None:
    prefetch.stop()


def _cancel(prefetch: Prefetch, feeding: asyncio.Task[None]) -> None:
    feeding.cancel()


@pytest.mark.parametrize("end", [_stop, _cancel])
def test_rows_that_are_just_being_announced_are_taken_back(
    end: Callable[[Prefetch, asyncio.Task[None]], None],
) -> None:
    store, plan = JsonStore(), Scheduler(9, Budget(None), Brake(proven=True))
    journal = Journal(store, BATCH)
    segments = _segments(9, journal)

    async def run() -> None:
        journal_writer = JournalWriter(journal)
        prefetch = _prefetch(plan, segments, journal_writer)
        await prefetch.take_over()
        feeding = asyncio.create_task(prefetch.feed())
        recording = asyncio.create_task(journal_writer.run())
        while ANNOUNCED not in _entries(store):
            await asyncio.sleep(0)
        end(prefetch, feeding)
        await asyncio.wait([feeding], timeout=5)
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await journal_writer.write()

    asyncio.run(run())
    segments.close()
    assert plan.ready == 0
    assert _entries(store) == [None] * 9


def _entries(store: JsonStore) -> list[str | None]:
    stored = store.get("bitscale_batch_b1_00000")
    return stored["entries"] if stored else []

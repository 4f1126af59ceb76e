"""Segments from the input to their parts: opened, put away, taken up again by a later try."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.lifecycle import Effect, Event, move
from airflow_provider_bitscale.batch.row_result import (
    DUPLICATE,
    FAILED,
    NOT_SUBMITTED,
    SUCCEEDED,
    UNKNOWN,
    RowResult,
)
from airflow_provider_bitscale.batch.store.batch_record import read_batch
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.segment_records import (
    ANNOUNCED,
    Records,
    SegmentRecord,
    Summary,
    finished,
    read_records,
)
from airflow_provider_bitscale.batch.store.segments import Segments
from airflow_provider_bitscale.batch.table.survey import Row, Segment
from tests.batch.journals import BATCH
from tests.support.json_store import JsonStore

SIZE = 3
FOUND = RowResult(SUCCEEDED, "run", 2, outputs={"Email": "e"})


class Parts:
    """Parts that stay where later tries find them, as (``_status``, ``_run_id``) of each row by number."""

    durable = True

    def __init__(self) -> None:
        self.written: dict[int, list[tuple[str, str | None]]] = {}

    def write_part(self, number: int, rows: Sequence[dict[str, Any]]) -> str:
        self.written[number] = [(row["_status"], row["_run_id"]) for row in rows]
        return f"part {number}"


class Batch:
    """What lasts from try to try: the input, the store and the parts."""

    def __init__(self, rows: int, duplicates: Sequence[int] = ()) -> None:
        self.rows = rows
        self.duplicates = duplicates
        self.store = JsonStore()
        self.parts = Parts()
        self.journal = Journal(self.store, BATCH)

    @property
    def records(self) -> Records:
        """What is in the store."""
        return read_records(self.store, read_batch(self.store) or BATCH, {})

    def read_segments(self) -> Iterator[Segment]:
        for number, first in enumerate(range(0, self.rows, SIZE)):
            if number in finished(self.records):
                continue
            rows = range(first, min(self.rows, first + SIZE))
            yield Segment(
                number,
                tuple(Row(row, {"n": row}, {"c-n": row}, row in self.duplicates) for row in rows),
            )

    def segments(self, *, parks: bool = True, segments: Iterator[Segment] | None = None) -> Segments:
        """The segments of a new try."""
        records = self.records
        self.journal = Journal(self.store, read_batch(self.store) or BATCH, records)
        return Segments(
            self.rows,
            SIZE,
            segments or self.read_segments(),
            self.parts,
            self.journal,
            records,
            parks_ambiguous=parks,
        )

    def apply(
        self,
        segments: Segments,
        row: int | BatchRow,
        event: Event,
        *,
        run_id: str | None = None,
        result: RowResult | None = None,
    ) -> bool:
        """Something has happened to a row; whether its segment is finished by that."""
        found = segments.find(row) if isinstance(row, int) else row
        assert found is not None
        effects = move(found, event, 0.0, run_id=run_id, result=result).written
        if Effect.WRITE_ENTRY in effects:
            self.journal.note(found.segment, found.position, found.entry)
        if Effect.COUNT in effects:
            segments.count(found)
        return Effect.FINISH in effects and segments.finish(found)

    async def open_next(self, segments: Segments) -> dict[int, Event | None] | None:
        """Open a segment; what has happened to its rows by that."""
        if (opened := await segments.open_next()) is None:
            return None
        for row, event, run_id, result in opened:
            if event is not None:
                self.apply(segments, row, event, run_id=run_id, result=result)
        return {row.number: event for row, event, _, _ in opened}

    async def open_all(self, segments: Segments) -> list[dict[int, Event | None]]:
        opened = []
        while (one := await self.open_next(segments)) is not None:
            opened.append(one)
        return opened

    def send(self, segments: Segments, *rows: int, event: Event | None = None) -> None:
        """Their submissions leave; and what becomes of them at once."""
        for row in rows:
            for each in (Event.ANNOUNCED, Event.DURABLE, Event.SENT, *([event] if event else [])):
                self.apply(segments, row, each)

    def save(self) -> None:
        self.journal.write(self.journal.changes())


def test_segments_are_opened_in_order() -> None:
    batch = Batch(7, duplicates=[1])
    segments = batch.segments()
    opened = asyncio.run(batch.open_all(segments))
    segments.close()
    assert opened == [
        {0: None, 1: Event.DUPLICATE, 2: None},
        {3: None, 4: None, 5: None},
        {6: None},
    ]
    assert segments.tally.counts == {DUPLICATE: 1}
    row = segments.find(4)
    assert row is not None
    assert (row.number, row.segment, row.position) == (4, 1, 1)
    assert segments.inputs(row) == {"c-n": 4}
    # The last segment is shorter, and a token in a delivery may name any number.
    assert [segments.find(number) for number in (-1, 7, 8, 99)] == [None] * 4


def test_a_segment_is_written_when_its_last_row_has_its_result() -> None:
    batch = Batch(6)

    async def run(segments: Segments) -> None:
        await batch.open_all(segments)
        batch.send(segments, 0, 1, 2, 3)
        batch.apply(segments, 1, Event.ACCEPTED, run_id="run_1")
        assert not batch.apply(segments, 1, Event.ENDED, result=FOUND)
        assert not batch.apply(segments, 0, Event.REFUSED, result=RowResult(FAILED, error="x"))
        assert not segments.is_finished(0)
        assert batch.apply(segments, 2, Event.GIVEN_UP, result=RowResult(UNKNOWN))
        assert segments.is_finished(0)
        await segments.write(0)
        assert segments.find(0) is None

    segments = batch.segments()
    asyncio.run(run(segments))
    segments.close()
    batch.save()
    assert batch.parts.written == {0: [(FAILED, None), (SUCCEEDED, "run"), (UNKNOWN, None)]}
    assert segments.tally.parts == {0: "part 0"}
    assert batch.records == {
        0: Summary("part 0", {FAILED: 1, SUCCEEDED: 1, UNKNOWN: 1}, 2, 1),
        1: SegmentRecord([ANNOUNCED, None, None]),
    }


def test_a_segment_of_duplicates_is_finished_at_once() -> None:
    batch = Batch(4, duplicates=[3])
    segments = batch.segments()
    asyncio.run(batch.open_all(segments))
    segments.close()
    assert [segments.is_finished(number) for number in (0, 1)] == [False, True]


def leave_behind(batch: Batch) -> None:
    """An earlier try: segment 0 is finished, in 1 are a run, an intent and an answer, 2 is untouched."""
    for number in (0, 1):
        batch.journal.open(number, SegmentRecord([None] * SIZE))
    for position, entry in enumerate(("run_3", ANNOUNCED, ANNOUNCED)):
        batch.journal.note(1, position, entry)
    batch.journal.add_results(1, {2: RowResult(SUCCEEDED, None, 5)})
    batch.journal.finish(0, Summary("part 0", {SUCCEEDED: 2, UNKNOWN: 1}, 10, 1))
    batch.save()


@pytest.mark.parametrize("parks", [False, True])
def test_a_retry_goes_on_where_an_earlier_try_was_lost(parks: bool) -> None:
    batch = Batch(9)
    leave_behind(batch)
    segments = batch.segments(parks=parks)
    assert segments.unfinished == 6
    opened = asyncio.run(batch.open_all(segments))
    segments.close()
    assert opened == [
        {3: Event.RESUMED, 4: Event.SETTLED if parks else Event.INHERITED, 5: Event.SETTLED},
        {6: None, 7: None, 8: None},
    ]
    row = segments.find(3)
    assert row is not None
    assert row.run_id == "run_3"
    assert segments.tally.counts == {SUCCEEDED: 3, UNKNOWN: 2 if parks else 1}
    assert batch.apply(segments, 3, Event.ENDED, result=FOUND) is parks


@pytest.mark.parametrize("parks", [False, True])
def test_what_earlier_tries_spent_is_known_before_anything_is_submitted(parks: bool) -> None:
    batch = Batch(9)
    leave_behind(batch)
    segments = batch.segments(parks=parks)
    before = (segments.tally.credits, segments.tally.unknown_costs, segments.tally.settled)
    assert before == ((15, 2, 5) if parks else (15, 1, 4))
    assert segments.tally.parts == {0: "part 0"}
    asyncio.run(batch.open_all(segments))
    segments.close()
    after = (segments.tally.credits, segments.tally.unknown_costs, segments.tally.settled)
    assert after == before, "and counts once"


def test_a_row_that_was_taken_back_is_submitted_by_a_retry() -> None:
    batch = Batch(3)
    segments = batch.segments()
    asyncio.run(batch.open_all(segments))
    segments.close()
    for row in (0, 1, 2):
        batch.apply(segments, row, Event.ANNOUNCED)
    batch.apply(segments, 1, Event.RETRACTED)
    batch.save()
    later = batch.segments()
    assert asyncio.run(batch.open_all(later)) == [{0: Event.SETTLED, 1: None, 2: Event.SETTLED}]
    later.close()
    assert later.tally.counts == {UNKNOWN: 2}


def test_a_row_that_is_ambiguous_stays_so_when_it_is_taken_back() -> None:
    batch = Batch(3)
    first = batch.segments(parks=False)
    asyncio.run(batch.open_all(first))
    batch.send(first, 1, event=Event.RESUBMITTED)
    for row in (0, 2):
        batch.apply(first, row, Event.ANNOUNCED)
    for row in (0, 1):
        batch.apply(first, row, Event.RETRACTED)
    first.close()
    batch.save()
    second = batch.segments(parks=False)
    opened = asyncio.run(batch.open_all(second))
    assert opened == [{0: None, 1: Event.INHERITED, 2: Event.INHERITED}]
    for row in (1, 2):
        batch.apply(second, row, Event.RESUBMITTED)
    for row in (0, 1, 2):
        batch.apply(second, row, Event.ANNOUNCED)
        batch.apply(second, row, Event.RETRACTED)
    second.write_the_rest("why")
    second.close()
    assert [status for status, _ in batch.parts.written[0]] == [NOT_SUBMITTED, UNKNOWN, UNKNOWN]


def test_submissions_that_no_delivery_showed_count_as_unknown() -> None:
    batch = Batch(3)
    segments = batch.segments(parks=False)
    asyncio.run(batch.open_all(segments))
    batch.send(segments, 0, 1, event=Event.RESUBMITTED)
    batch.apply(segments, 1, Event.DELIVERED, run_id="run_1")
    segments.close()
    batch.save()
    assert batch.records[0] == SegmentRecord([ANNOUNCED, "run_1", None])
    batch.apply(segments, 0, Event.SENT)
    batch.send(segments, 2)
    for row in (0, 1, 2):
        batch.apply(segments, row, Event.ENDED, result=FOUND)
    assert segments.tally.unknown_costs == 1, "that which no delivery has shown"


def test_what_is_left_is_written_as_it_stands() -> None:
    batch = Batch(12, duplicates=[9])
    leave_behind(batch)

    async def run(segments: Segments) -> None:
        await batch.open_next(segments)
        await batch.open_next(segments)
        batch.apply(segments, 6, Event.ANNOUNCED)
        batch.send(segments, 7)
        batch.apply(segments, 7, Event.ENDED, result=FOUND)

    segments = batch.segments()
    asyncio.run(run(segments))
    # Of segment 1 the run; of 2 two rows; of 3, which was never opened, two.
    assert segments.write_the_rest("why") == 5
    segments.close()
    assert batch.parts.written == {
        1: [(UNKNOWN, "run_3"), (UNKNOWN, None), (SUCCEEDED, None)],
        2: [(UNKNOWN, None), (SUCCEEDED, "run"), (NOT_SUBMITTED, None)],
        3: [(DUPLICATE, None), (NOT_SUBMITTED, None), (NOT_SUBMITTED, None)],
    }
    assert sorted(segments.tally.parts) == [0, 1, 2, 3]
    assert segments.tally.counts.total() == batch.rows
    left = SegmentRecord(["run_3", ANNOUNCED, ANNOUNCED], {2: RowResult(SUCCEEDED, None, 5)}, chunks=1)
    assert batch.records[1] == left


@pytest.mark.parametrize("parks", [False, True])
def test_what_an_earlier_try_left_is_written_as_it_stands_if_it_is_never_opened(parks: bool) -> None:
    batch = Batch(6)
    leave_behind(batch)
    segments = batch.segments(parks=parks)
    assert segments.write_the_rest("why") == (1 if parks else 2)
    segments.close()
    assert batch.parts.written == {1: [(UNKNOWN, "run_3"), (UNKNOWN, None), (SUCCEEDED, None)]}


def test_a_row_that_is_disowned_counts_once() -> None:
    batch = Batch(1)
    segments = batch.segments()
    asyncio.run(batch.open_all(segments))
    batch.send(segments, 0)
    batch.apply(segments, 0, Event.ENDED, result=FOUND)
    row = segments.find(0)
    assert row is not None
    segments.count(row, -1)
    batch.apply(segments, 0, Event.DISOWNED, result=RowResult(UNKNOWN))
    segments.close()
    assert row.state is State.DONE
    assert +segments.tally.counts == {UNKNOWN: 1}


def test_no_rows_are_lost_if_their_reading_is_cancelled() -> None:
    batch = Batch(9)
    reading, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[Segment]:
        for segment in batch.read_segments():
            reading.set()
            assert go_on.wait(10)
            yield segment

    async def give_up(segments: Segments) -> None:
        opening = asyncio.create_task(segments.open_next())
        while not reading.is_set():
            await asyncio.sleep(0.001)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    segments = batch.segments(segments=slowly())
    asyncio.run(give_up(segments))
    threading.Timer(0.05, go_on.set).start()
    segments.write_the_rest("why")
    segments.close()
    assert sorted(batch.parts.written) == [0, 1, 2]
    assert segments.tally.counts == {NOT_SUBMITTED: 9}


def test_segments_that_are_put_away_are_not_all_in_memory() -> None:
    batch = Batch(300)
    ahead: list[int] = []

    def counted() -> Iterator[Segment]:
        for segment in batch.read_segments():
            ahead.append(segment.number - len(batch.parts.written))
            yield segment

    segments = batch.segments(segments=counted())
    segments.write_the_rest("why")
    segments.close()
    assert len(batch.parts.written) == 100
    assert max(ahead) <= 1


def test_what_an_earlier_try_left_is_opened_before_the_rest() -> None:
    batch = Batch(9)
    leave_behind(batch)

    async def run(segments: Segments) -> None:
        assert segments.has_left_overs
        await segments.open_next()
        assert not segments.has_left_overs, "segment 2 is untouched"

    segments = batch.segments()
    asyncio.run(run(segments))
    segments.close()

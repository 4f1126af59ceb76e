"""Segments from the input to their parts: opened, put away, taken up again by a later try."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from airflow_provider_bitscale.batch.row_result import (
    DUPLICATE,
    FAILED,
    NOT_SUBMITTED,
    SUCCEEDED,
    UNKNOWN,
    RowResult,
)
from airflow_provider_bitscale.batch.store.head import read_head
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.records import (
    INTENT,
    Records,
    SegmentRecord,
    Summary,
    finished,
    read_records,
)
from airflow_provider_bitscale.batch.store.segments import Opened, Segments
from airflow_provider_bitscale.batch.table.mapping import Row, Segment
from tests.batch.journals import HEAD
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
        self.journal = Journal(self.store, HEAD)

    @property
    def records(self) -> Records:
        """What is in the store."""
        return read_records(self.store, read_head(self.store) or HEAD, {})

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
        """The shelf of a new try."""
        records = self.records
        self.journal = Journal(self.store, read_head(self.store) or HEAD, records)
        return Segments(
            self.rows,
            SIZE,
            segments or self.read_segments(),
            self.parts,
            self.journal,
            records,
            parks_doubtful=parks,
        )

    def save(self) -> None:
        self.journal.write(self.journal.changes())


async def open_all(segments: Segments) -> list[Opened]:
    opened = []
    while (one := await segments.open_next()) is not None:
        opened.append(one)
    return opened


def test_segments_are_opened_in_order() -> None:
    segments = Batch(7, duplicates=[1]).segments()
    opened = asyncio.run(open_all(segments))
    segments.close()
    assert opened == [
        Opened(to_submit=[0, 2], skipped=1),
        Opened(to_submit=[3, 4, 5]),
        Opened(to_submit=[6]),
    ]
    assert segments.tally.counts == {DUPLICATE: 1}
    assert segments.inputs(4) == {"c-n": 4}
    assert segments.place(4) == (1, 1)


def test_a_segment_is_put_away_when_its_last_row_is_settled() -> None:
    batch = Batch(6)

    async def run(segments: Segments) -> None:
        await open_all(segments)
        segments.announce([0, 1, 2, 3])
        segments.accepted(1, "run_1")
        assert segments.run_id(1) == "run_1"
        assert segments.settle(1, FOUND) is None
        assert segments.settle(0, RowResult(FAILED, error="x")) is None
        assert segments.settle(2, RowResult(UNKNOWN)) == 0
        await segments.put_away(0)

    segments = batch.segments()
    asyncio.run(run(segments))
    segments.close()
    batch.save()
    assert batch.parts.written == {0: [(FAILED, None), (SUCCEEDED, "run"), (UNKNOWN, None)]}
    assert segments.tally.parts == {0: "part 0"}
    assert batch.records == {
        0: Summary("part 0", {FAILED: 1, SUCCEEDED: 1, UNKNOWN: 1}, 2, 1),
        1: SegmentRecord([INTENT, None, None]),
    }


def test_a_segment_of_duplicates_is_finished_at_once() -> None:
    segments = Batch(4, duplicates=[3]).segments()
    assert asyncio.run(open_all(segments))[1] == Opened(skipped=1, finished=1)
    segments.close()


def leave_behind(batch: Batch) -> None:
    """An earlier try: segment 0 is finished, in 1 are a run, an intent and an answer, 2 is untouched."""
    for number in (0, 1):
        batch.journal.open(number, SegmentRecord([None] * SIZE))
    batch.journal.accepted(1, 0, "run_3")
    batch.journal.announce(1, [1, 2])
    batch.journal.answered(1, {2: RowResult(SUCCEEDED, None, 5)})
    batch.journal.finish(0, Summary("part 0", {SUCCEEDED: 2, UNKNOWN: 1}, 10, 1))
    batch.save()


@pytest.mark.parametrize("parks", [False, True])
def test_a_retry_goes_on_where_an_earlier_try_was_lost(parks: bool) -> None:
    batch = Batch(9)
    leave_behind(batch)
    segments = batch.segments(parks=parks)
    opened = asyncio.run(open_all(segments))
    segments.close()
    assert opened == [
        Opened(running=[3], in_doubt=[] if parks else [4]),
        Opened(to_submit=[6, 7, 8]),
    ]
    assert segments.run_id(3) == "run_3"
    assert segments.tally.counts == {SUCCEEDED: 3, UNKNOWN: 2 if parks else 1}
    assert segments.settle(3, FOUND) == (1 if parks else None)


@pytest.mark.parametrize("parks", [False, True])
def test_what_earlier_tries_spent_is_known_before_anything_is_submitted(parks: bool) -> None:
    batch = Batch(9)
    leave_behind(batch)
    segments = batch.segments(parks=parks)
    before = (segments.tally.credits, segments.tally.untold, segments.tally.settled)
    assert before == ((15, 2, 5) if parks else (15, 1, 4))
    assert segments.tally.parts == {0: "part 0"}
    asyncio.run(open_all(segments))
    segments.close()
    assert (segments.tally.credits, segments.tally.untold, segments.tally.settled) == before, (
        "and counts once"
    )


def test_a_row_that_was_taken_back_is_submitted_by_a_retry() -> None:
    batch = Batch(3)
    segments = batch.segments()
    asyncio.run(open_all(segments))
    segments.close()
    segments.announce([0, 1, 2])
    segments.retract([1])
    batch.save()
    later = batch.segments()
    assert asyncio.run(open_all(later)) == [Opened(to_submit=[1])]
    later.close()
    assert later.tally.counts == {UNKNOWN: 2}


def test_a_row_in_doubt_stays_so_when_it_is_taken_back() -> None:
    batch = Batch(3)
    first = batch.segments(parks=False)
    asyncio.run(open_all(first))
    first.announce([0, 1, 2])
    first.doubt(1)
    first.retract([0, 1])
    first.close()
    batch.save()
    second = batch.segments(parks=False)
    assert asyncio.run(open_all(second)) == [Opened(to_submit=[0], in_doubt=[1, 2])]
    for row in (1, 2):
        second.doubt(row)
    second.retract([0, 1, 2])
    second.put_away_the_rest("why")
    second.close()
    assert [status for status, _ in batch.parts.written[0]] == [NOT_SUBMITTED, UNKNOWN, UNKNOWN]


def test_a_row_of_which_a_delivery_tells_is_submitted_no_more() -> None:
    batch = Batch(3)
    segments = batch.segments(parks=False)
    asyncio.run(open_all(segments))
    segments.announce([0, 1, 2])
    for row in (0, 1):
        segments.doubt(row)
    segments.accepted(1, "run_1")
    segments.doubt_ended(1)
    assert [segments.is_to_be_submitted(row) for row in (0, 1, 2, 99)] == [True, False, True, False]
    assert [segments.may_be_paid(row) for row in (0, 1, 2)] == [True, False, False]
    segments.retract([0, 1, 2])
    segments.close()
    batch.save()
    assert batch.records[0] == SegmentRecord([INTENT, "run_1", None])
    for row in (0, 1, 2):
        segments.settle(row, FOUND)
    assert segments.tally.untold == 1, "that which nobody has told of"


def test_what_is_left_is_put_away_as_it_stands() -> None:
    batch = Batch(12, duplicates=[9])
    leave_behind(batch)

    async def run(segments: Segments) -> None:
        await segments.open_next()
        await segments.open_next()
        segments.announce([6])
        segments.settle(7, FOUND)

    segments = batch.segments()
    asyncio.run(run(segments))
    # Of segment 1 the run; of 2 two rows; of 3, which was never opened, two.
    assert segments.put_away_the_rest("why") == 5
    segments.close()
    assert batch.parts.written == {
        1: [(UNKNOWN, "run_3"), (UNKNOWN, None), (SUCCEEDED, None)],
        2: [(UNKNOWN, None), (SUCCEEDED, "run"), (NOT_SUBMITTED, None)],
        3: [(DUPLICATE, None), (NOT_SUBMITTED, None), (NOT_SUBMITTED, None)],
    }
    assert sorted(segments.tally.parts) == [0, 1, 2, 3]
    assert segments.tally.counts.total() == batch.rows
    left = SegmentRecord(["run_3", INTENT, INTENT], {2: RowResult(SUCCEEDED, None, 5)}, chunks=1)
    assert batch.records[1] == left


def test_no_rows_are_lost_if_nobody_waits_for_their_reading() -> None:
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
    segments.put_away_the_rest("why")
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
    segments.put_away_the_rest("why")
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

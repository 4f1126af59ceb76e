"""The open segments of a batch: opened in the order of the input, written once all rows have results."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Literal, NamedTuple

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.lifecycle import Event, move
from airflow_provider_bitscale.batch.progress import Tally
from airflow_provider_bitscale.batch.row_result import DUPLICATE, UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, Records, SegmentRecord, Summary
from airflow_provider_bitscale.batch.table.survey import Segment
from airflow_provider_bitscale.batch.table.writers import Parts, output_row

_AMBIGUOUS = (
    "an earlier try was lost between its request and the answer: the run may have been paid for, or not"
)


class Opened(NamedTuple):
    """A row of a segment that has been opened.

    :param event: what happens to it at once; None if it is to be submitted.
    :param run_id: see :func:`move`.
    :param result: see :func:`move`.
    """

    row: BatchRow
    event: Event | None
    run_id: str | None = None
    result: RowResult | None = None


class OpenSegment:
    """The rows of a segment, as they came and as they live.

    :ivar left: how many rows have no result yet.
    """

    def __init__(self, segment: Segment) -> None:
        self.source = segment.rows
        self.rows = [BatchRow(row.index, segment.number, at) for at, row in enumerate(segment.rows)]
        self.left = len(self.rows)

    @property
    def is_collectable(self) -> bool:
        """Whether rows are unknown whose runs can be polled again."""
        return any(result.is_collectable for result in self._results())

    def output_rows(self) -> list[dict[str, Any]]:
        """Return all rows as they are written."""
        return [
            output_row(row.fields, result) for row, result in zip(self.source, self._results(), strict=True)
        ]

    def summary(self, part: str | None) -> Summary:
        """Return their counts and credits."""
        tally = Tally()
        for result in self._results():
            tally.add(result)
        return tally.summary(part)

    def _results(self) -> Iterator[RowResult]:
        return (row.result for row in self.rows if row.result is not None)


class Segments:
    """Rows are known by their position in the input.

    :param rows: how many the input has.
    :param segments: of the input, in order, without those that are finished; read in a thread, as it may
        block.
    :param parts: where finished segments are written, by the same thread.
    :param records: what earlier tries left, by number of the segment.
    :param parks_ambiguous: whether rows that an earlier try may have submitted are ``unknown``.
    :ivar unfinished: how many rows are in no finished segment.
    """

    def __init__(
        self,
        rows: int,
        segment_size: int,
        segments: Iterator[Segment],
        parts: Parts,
        journal: Journal,
        records: Records,
        *,
        parks_ambiguous: bool,
    ) -> None:
        self.rows = rows
        self.tally = Tally()
        self._segment_size = segment_size
        self._segments = segments
        self._parts = parts
        self._journal = journal
        self._records = records
        self._parks_ambiguous = parks_ambiguous
        self._open: dict[int, OpenSegment] = {}
        self._files = ThreadPoolExecutor(1, "bitscale-files")
        self._read: deque[Segment] = deque()
        for number, record in records.items():
            if isinstance(record, Summary):
                self.tally.add_summary(number, record)
        self.unfinished = rows - self.tally.settled
        for record in records.values():
            if isinstance(record, SegmentRecord):
                # What was spent counts from the start, not only once the segment is opened.
                for position in range(len(record.entries)):
                    if (result := self._known_result(record, position)) is not None:
                        self.tally.add(result)

    @property
    def has_left_overs(self) -> bool:
        """Whether an earlier try left something of a segment that is not open yet."""
        return any(isinstance(record, SegmentRecord) for record in self._records.values())

    def find(self, number: int) -> BatchRow | None:
        """Return a row of an open segment; None for any other number."""
        segment, position = divmod(number, self._segment_size)
        found = self._open.get(segment)
        return found.rows[position] if found is not None and position < len(found.rows) else None

    def inputs(self, row: BatchRow) -> dict[str, Any]:
        """Return what a run of this row takes."""
        return self._open[row.segment].source[row.position].inputs

    def is_finished(self, number: int) -> bool:
        """Whether all rows of an open segment have their results."""
        return not self._open[number].left

    async def open_next(self) -> list[Opened] | None:
        """Open the next segment that is not finished; None if there is none."""
        if not self._read:
            await self._in_thread(self._read_next)
        return self._opened(self._read.popleft()) if self._read else None

    def count(self, row: BatchRow, times: Literal[1, -1] = 1) -> None:
        """Count the result of a row; with -1, take it back: the row is to have another."""
        if row.result is not None:
            self.tally.add(row.result, times)

    def finish(self, row: BatchRow) -> bool:
        """Note that a row has got its result; return whether it is the last one of its segment."""
        segment = self._open[row.segment]
        segment.left -= 1
        self.tally.unknown_costs += row.unanswered
        return not segment.left

    async def write(self, number: int) -> None:
        """Write a segment of which all rows have their results.

        Its record stays as it is if a retry may still find something out.
        """
        segment = self._open[number]
        part = await self._in_thread(self._parts.write_part, number, segment.output_rows())
        if self._parts.durable and not segment.is_collectable:
            self._journal.finish(number, segment.summary(part))
        if part is not None:
            self.tally.parts[number] = part
        del self._open[number]

    def write_the_rest(self, why: str) -> int:
        """Write what is left, as it stands: this try does no more with it.

        :return: how many rows had no result.
        """
        left, more = 0, True
        while more:
            # This waits as well for a read whose caller has been cancelled.
            self._files.submit(self._read_next).result()
            if more := bool(self._read):
                for row, event, run_id, result in self._opened(self._read.popleft()):
                    if event is not None:
                        move(row, event, 0.0, run_id=run_id, result=result)
                    if event is Event.DUPLICATE:
                        self.count(row)
            for number, segment in self._open.items():
                for row in segment.rows:
                    if row.state is not State.DONE:
                        move(row, Event.CLOSED, 0.0, result=row.as_it_stands(why))
                        self.count(row)
                        left += 1
                part = self._parts.write_part(number, segment.output_rows())
                if part is not None:
                    self.tally.parts[number] = part
            self._open.clear()
        return left

    def close(self) -> None:
        """End the thread."""
        self._files.shutdown()

    def _read_next(self) -> None:
        """Read the next segment; it is kept even if the caller has been cancelled."""
        self._read.extend(islice(self._segments, 1))

    def _known_result(self, record: SegmentRecord, position: int) -> RowResult | None:
        """Return the result of a row by the end of the earlier try; None if its life goes on."""
        result = record.results.get(position)
        if result is not None and result.status == UNKNOWN and record.entries[position]:
            # Its run became known later.
            return None
        if result is None and record.entries[position] == ANNOUNCED and self._parks_ambiguous:
            return RowResult(UNKNOWN, error=_AMBIGUOUS)
        return result

    def _opened(self, segment: Segment) -> list[Opened]:
        record = self._records.pop(segment.number, None)
        if not isinstance(record, SegmentRecord):
            record = SegmentRecord([None] * len(segment.rows))
        self._journal.open(segment.number, record)
        self._open[segment.number] = OpenSegment(segment)
        opened = []
        for source, row in zip(segment.rows, self._open[segment.number].rows, strict=True):
            entry, result = record.entries[row.position], self._known_result(record, row.position)
            if source.duplicate:
                opened.append(Opened(row, Event.DUPLICATE, result=RowResult(DUPLICATE)))
            elif result is not None:
                opened.append(Opened(row, Event.SETTLED, result=result))
            elif entry:
                opened.append(Opened(row, Event.RESUMED, run_id=entry))
            else:
                opened.append(Opened(row, None if entry is None else Event.INHERITED))
        return opened

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._files, function, *arguments)

"""The open segments of a batch: opened in the order of the input, put away when all rows are settled."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_provider_bitscale.batch.row_result import DUPLICATE, UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.open_segment import OpenSegment
from airflow_provider_bitscale.batch.store.records import INTENT, Records, SegmentRecord, Summary
from airflow_provider_bitscale.batch.table.mapping import Segment
from airflow_provider_bitscale.batch.table.writers import Parts
from airflow_provider_bitscale.batch.tally import Tally

_IN_DOUBT = (
    "an earlier try was lost between its request and the answer: the run may have been paid for, or not"
)


@dataclass
class Opened:
    """The rows of a segment that has been opened.

    :param running: rows whose run an earlier try submitted.
    :param in_doubt: rows of which an earlier try may have submitted a run, if they are not parked.
    :param skipped: how many are duplicates, and settled by being opened.
    :param finished: the segment's number, if that was all of them.
    """

    to_submit: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    in_doubt: list[int] = field(default_factory=list)
    skipped: int = 0
    finished: int | None = None


class Segments:
    """Rows are known by their position in the input.

    :param rows: how many the input has.
    :param segments: of the input, in order, without those that are finished; read in a thread, as it may
        block.
    :param parts: where finished segments are written, by the same thread.
    :param records: what earlier tries left, by number of the segment.
    :param parks_doubtful: whether rows that an earlier try may have submitted are ``unknown``.
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
        parks_doubtful: bool,
    ) -> None:
        self.rows = rows
        self.tally = Tally()
        self._segment_size = segment_size
        self._segments = segments
        self._parts = parts
        self._journal = journal
        self._records = records
        self._parks_doubtful = parks_doubtful
        self._open: dict[int, OpenSegment] = {}
        # Rows to be submitted again, or that have been, and after how many submissions in doubt.
        self._may_be_paid: Counter[int] = Counter()
        self._files = ThreadPoolExecutor(1, "bitscale-files")
        self._read: deque[Segment] = deque()
        for number, record in records.items():
            if isinstance(record, Summary):
                self.tally.add_summary(number, record)
            else:
                # What was spent counts from the start, not only once the segment is opened.
                for position in range(len(record.entries)):
                    if (settled := self._left_as(record, position)) is not None:
                        self.tally.add(settled)

    @property
    def has_left_overs(self) -> bool:
        """Whether an earlier try left something of a segment that is not open yet."""
        return any(isinstance(record, SegmentRecord) for record in self._records.values())

    def place(self, row: int) -> tuple[int, int]:
        """The segment of a row, and its position there."""
        return divmod(row, self._segment_size)

    def inputs(self, row: int) -> dict[str, Any]:
        """What a run of this row takes."""
        number, position = self.place(row)
        return self._open[number].rows[position].inputs

    def run_id(self, row: int) -> str:
        """The id of this row's run."""
        number, position = self.place(row)
        return str(self._open[number].record.entries[position])

    async def open_next(self) -> Opened | None:
        """Open the next segment that is not finished; None if there is none."""
        if not self._read:
            await self._in_thread(self._read_next)
        return self._opened(self._read.popleft()) if self._read else None

    def announce(self, rows: Collection[int]) -> None:
        """These rows are about to be submitted."""
        for row in rows:
            number, position = self.place(row)
            self._journal.announce(number, [position])

    def retract(self, rows: Collection[int]) -> None:
        """These rows have not been submitted after all; but an earlier submission may be in doubt."""
        for row in rows:
            if row not in self._may_be_paid and self.is_to_be_submitted(row):
                number, position = self.place(row)
                self._journal.retract(number, [position])

    def doubt(self, row: int) -> None:
        """Nobody knows what became of a submission of this row, which is to be submitted again."""
        self._may_be_paid[row] += 1

    def may_be_paid(self, row: int) -> bool:
        """Whether this row is to be submitted again, or has been, after a submission in doubt."""
        return row in self._may_be_paid

    def doubt_ended(self, row: int) -> None:
        """A delivery told that this submission had started a run: the row is not to be submitted again."""
        del self._may_be_paid[row]

    def is_to_be_submitted(self, row: int) -> bool:
        """Whether no run of this row is known, nor what has become of it."""
        number, position = self.place(row)
        return number in self._open and not self._open[number].record.entries[position]

    def may_change(self, row: int) -> bool:
        """Whether the row's segment is not written yet."""
        number, _ = self.place(row)
        return number in self._open and not self._open[number].is_settled

    def leave_as(self, row: int, settled: RowResult) -> None:
        """What the row is if nothing more becomes of it."""
        number, position = self.place(row)
        self._open[number].left_as[position] = settled

    def left_as(self, row: int) -> RowResult | None:
        """What :meth:`leave_as` said."""
        number, position = self.place(row)
        return self._open[number].left_as.get(position)

    def accepted(self, row: int, run_id: str) -> None:
        """BitScale accepted the row's run."""
        self._journal.accepted(*self.place(row), run_id)

    def settle(self, row: int, settled: RowResult) -> int | None:
        """What has become of a row; the number of its segment, if it is the last one there."""
        number, position = self.place(row)
        segment = self._open[number]
        if (before := segment.settle(position, settled)) is not None:
            self.tally.take_back(before)
        self.tally.add(settled)
        self.tally.untold += self._may_be_paid[row]
        return number if segment.is_settled else None

    async def put_away(self, number: int) -> None:
        """Write a segment of which all rows are settled.

        Its record stays as it is if a retry may still find something out.
        """
        segment = self._open[number]
        part = await self._in_thread(self._parts.write_part, number, segment.output_rows())
        if self._parts.durable and not segment.is_collectable:
            self._journal.finish(number, segment.summary(part))
        if part is not None:
            self.tally.parts[number] = part
        del self._open[number]

    def put_away_the_rest(self, why: str) -> int:
        """Write what is left, as it stands: nothing more will become of it in this try.

        :return: how many rows were not settled.
        """
        left, more = 0, True
        while more:
            # This waits as well for what the thread was asked for by somebody who does not wait any more.
            self._files.submit(self._read_next).result()
            if more := bool(self._read):
                self._opened(self._read.popleft())
            for number, segment in self._open.items():
                for settled in segment.give_up(why):
                    self.tally.add(settled)
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
        """Read the next segment; it is kept even if nobody waits for it any more."""
        self._read.extend(islice(self._segments, 1))

    def _left_as(self, record: SegmentRecord, position: int) -> RowResult | None:
        """What has become of a row by the end of the earlier try; None if more is to become of it."""
        settled = record.results.get(position)
        if settled is not None and settled.status == UNKNOWN and record.entries[position]:
            # Its run became known later.
            return None
        if settled is None and record.entries[position] == INTENT and self._parks_doubtful:
            return RowResult(UNKNOWN, error=_IN_DOUBT)
        return settled

    def _opened(self, segment: Segment) -> Opened:
        record = self._records.pop(segment.number, None)
        if not isinstance(record, SegmentRecord):
            record = SegmentRecord([None] * len(segment.rows))
        self._journal.open(segment.number, record)
        opened, kept = Opened(), OpenSegment(segment, record)
        self._open[segment.number] = kept
        for position, row in enumerate(segment.rows):
            settled = self._left_as(record, position)
            if row.duplicate:
                settled = RowResult(DUPLICATE)
                opened.skipped += 1
                self.tally.add(settled)
            if settled is not None:
                kept.settle(position, settled)
            elif record.entries[position]:
                opened.running.append(row.index)
            elif record.entries[position] == INTENT:
                opened.in_doubt.append(row.index)
            else:
                opened.to_submit.append(row.index)
        opened.finished = segment.number if kept.is_settled else None
        return opened

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._files, function, *arguments)

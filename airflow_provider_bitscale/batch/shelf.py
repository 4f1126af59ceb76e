"""The open segments of a batch: opened in the order of the input, put away when all rows are settled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_bitscale.batch.journal import INTENT, Journal, SegmentRecord, Summary
from airflow_provider_bitscale.batch.output import Settled
from airflow_provider_bitscale.batch.recorder import SECONDS_BETWEEN_WRITES
from airflow_provider_bitscale.batch.rows import Segment
from airflow_provider_bitscale.batch.statuses import DUPLICATE, UNKNOWN
from airflow_provider_bitscale.batch.tally import OpenSegment, Parts, Tally

SMALLEST_GROUP = 4
_IN_DOUBT = (
    "an earlier try was lost between its request and the answer: the run may have been paid for, or not"
)


@dataclass
class Opened:
    """The rows of a segment that has been opened.

    :param running: rows whose run an earlier try submitted.
    :param skipped: how many were settled by being opened.
    :param finished: the segment's number, if that was all of them.
    """

    to_submit: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    skipped: int = 0
    finished: int | None = None


class Shelf:
    """Rows are known by their position in the input.

    :param rows: how many the input has.
    :param segments: of the input, in order; read in a thread, as it may block.
    :param parts: where finished segments are written, by the same thread.
    :param records: what earlier tries left, by number of the segment.
    """

    def __init__(
        self,
        rows: int,
        segment_size: int,
        segments: Iterator[Segment],
        parts: Parts,
        journal: Journal,
        records: dict[int, SegmentRecord | Summary],
        *,
        resubmit_ambiguous: bool,
    ) -> None:
        self.rows = rows
        self.tally = Tally()
        self._segment_size = segment_size
        self._segments = segments
        self._parts = parts
        self._journal = journal
        self._records = records
        self._resubmit_ambiguous = resubmit_ambiguous
        self._open: dict[int, OpenSegment] = {}
        self._files = ThreadPoolExecutor(1, "bitscale-files")
        for number, record in records.items():
            if isinstance(record, Summary):
                self.tally.add_summary(number, record)

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

    def group_size(self, requests_per_second: float) -> int:
        """Rows to have ready: as many as may be submitted while the next ones are written down."""
        ahead = 2 * requests_per_second * SECONDS_BETWEEN_WRITES
        return min(self._segment_size, max(SMALLEST_GROUP, round(ahead)))

    async def open_next(self) -> Opened | None:
        """Open the next segment that is not finished; None if there is none."""
        segment = await self._in_thread(self._next_unfinished)
        return None if segment is None else self._opened(segment)

    def announce(self, rows: Collection[int]) -> None:
        """These rows are about to be submitted."""
        for row in rows:
            number, position = self.place(row)
            self._journal.announce(number, [position])

    def retract(self, rows: Collection[int]) -> None:
        """These rows have not been submitted after all."""
        for row in rows:
            number, position = self.place(row)
            self._journal.retract(number, [position])

    def accepted(self, row: int, run_id: str) -> None:
        """BitScale accepted the row's run."""
        self._journal.accepted(*self.place(row), run_id)

    def settle(self, row: int, settled: Settled) -> int | None:
        """What has become of a row; the number of its segment, if it is the last one there."""
        number, position = self.place(row)
        segment = self._open[number]
        segment.settle(position, settled)
        self.tally.add(settled)
        return number if segment.is_settled else None

    async def put_away(self, number: int) -> None:
        """Write a segment of which all rows are settled."""
        segment = self._open[number]
        part = await self._in_thread(self._parts.write_part, number, segment.output_rows())
        if self._parts.durable:
            self._journal.finish(number, segment.summary(part))
        if part is not None:
            self.tally.parts[number] = part
        del self._open[number]

    def put_away_the_rest(self, why: str) -> None:
        """Write what is left, as it stands: nothing more will become of it in this try."""
        while (unread := self._next_unfinished()) is not None:
            self._opened(unread)
        for number, segment in sorted(self._open.items()):
            for settled in segment.give_up(why):
                self.tally.add(settled)
            part = self._parts.write_part(number, segment.output_rows())
            if part is not None:
                self.tally.parts[number] = part
        self._open.clear()

    def close(self) -> None:
        """End the thread."""
        self._files.shutdown()

    def _next_unfinished(self) -> Segment | None:
        for segment in self._segments:
            if not isinstance(self._records.get(segment.number), Summary):
                return segment
        return None

    def _opened(self, segment: Segment) -> Opened:
        record = self._records.pop(segment.number, None)
        if not isinstance(record, SegmentRecord):
            record = SegmentRecord([None] * len(segment.rows))
        self._journal.open(segment.number, record)
        opened, kept = Opened(), OpenSegment(segment, record)
        self._open[segment.number] = kept
        for position, row in enumerate(segment.rows):
            entry, settled = record.entries[position], record.results.get(position)
            if row.duplicate:
                settled = Settled(DUPLICATE)
            elif entry == INTENT and settled is None and not self._resubmit_ambiguous:
                settled = Settled(UNKNOWN, error=_IN_DOUBT)
            if settled is not None:
                opened.skipped += 1
                kept.settle(position, settled)
                self.tally.add(settled)
            elif entry:
                opened.running.append(row.index)
            else:
                opened.to_submit.append(row.index)
        opened.finished = segment.number if kept.is_settled else None
        return opened

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._files, function, *arguments)

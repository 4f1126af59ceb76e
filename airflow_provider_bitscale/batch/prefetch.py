"""Keeps rows ready to be submitted: read, and their intent written down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import islice

from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.store.journal_writer import JournalWriter
from airflow_provider_bitscale.batch.store.segments import Opened, Segments

# What is announced, and not yet submitted, is ambiguous after a crash of the machine. The most is for 500
# submissions a second where writing takes 0.4 s. The slower the writes are, the more likely is a crash, and
# the fewer rows are announced.
FEWEST_AHEAD, MOST_AHEAD = 4, 200
ROWS_TIMES_SECONDS = 80.0
_ENOUGH_FOR_NOW_SECONDS = 0.02

log = logging.getLogger(__name__)


def rows_ahead(ahead: int, left: int, seconds: float) -> int:
    """How many rows to announce before they are submitted.

    :param ahead: how many it was until now.
    :param left: those of them that were not submitted yet when the next ones were written down.
    :param seconds: that it took to write those down.
    """
    most = MOST_AHEAD if seconds <= 0 else min(MOST_AHEAD, int(ROWS_TIMES_SECONDS / seconds))
    if not left:
        ahead = ahead * 3 // 2
    elif left > ahead / 2:
        ahead = ahead * 9 // 10
    return max(FEWEST_AHEAD, min(most, ahead))


class Prefetch:
    """Feeds the planner from the shelf.

    :param finished: told the numbers of segments of which nothing is left to do once they are opened.
    :param happened: set when the planner has got something.
    """

    def __init__(
        self,
        plan: Scheduler,
        segments: Segments,
        journal_writer: JournalWriter,
        *,
        finished: Callable[[int], None],
        happened: asyncio.Event,
    ) -> None:
        self._plan = plan
        self._segments = segments
        self._journal_writer = journal_writer
        self._finished = finished
        self._happened = happened
        self._ahead = FEWEST_AHEAD
        self._left_over: list[int] = []

    async def take_over(self) -> None:
        """Open all that an earlier try left: what it has paid for is known before anything is submitted."""
        if self._segments.has_left_overs:
            log.info("Reading the rows again that earlier tries have left unfinished")
        while self._segments.has_left_overs and (opened := await self._segments.open_next()) is not None:
            self._left_over += self._take_in(opened)

    def submit_doubtful(self) -> None:
        """Submit again what an earlier try may have submitted, and no delivery has told of."""
        rows = self._plan.take_doubtful()
        for row in rows:
            self._segments.doubt(row)
        self._left_over += rows

    async def feed(self) -> None:
        """Announce rows as they are needed, until there are no more, or the planner is stopped."""
        await self._announce(self._left_over)
        while not self._plan.stopped and (opened := await self._segments.open_next()) is not None:
            await self._announce(self._take_in(opened))

    def stop(self) -> None:
        """Submit no more; what is in flight is collected."""
        self.take_back(self._plan.stop())
        self._happened.set()

    def take_back(self, rows: list[int]) -> None:
        """These rows were announced, and will not be submitted."""
        self._segments.retract(rows)
        self._journal_writer.changed()

    def _take_in(self, opened: Opened) -> list[int]:
        now = time.monotonic()
        self._plan.skip(opened.skipped)
        for row in opened.running:
            self._plan.resume(row, now)
        for row in opened.in_doubt:
            self._plan.resume_doubt(row, now)
        if opened.finished is not None:
            self._finished(opened.finished)
        self._happened.set()
        return opened.to_submit

    async def _announce(self, rows: list[int]) -> None:
        # A delivery may tell of a row that was to be submitted again.
        rest = filter(self._segments.is_to_be_submitted, rows)
        while not self._plan.stopped:
            wanted = self._ahead - self._plan.ready
            if wanted <= 0:
                await asyncio.sleep(_ENOUGH_FOR_NOW_SECONDS)
            elif group := list(islice(rest, wanted)):
                await self._announce_group(group)
            else:
                return

    async def _announce_group(self, group: list[int]) -> None:
        self._segments.announce(group)
        began = time.monotonic()
        try:
            await self._journal_writer.durable()
        except asyncio.CancelledError:
            self.take_back(group)
            raise
        group = [row for row in group if self._segments.is_to_be_submitted(row)]
        if self._plan.stopped:
            self.take_back(group)
        else:
            self._ahead = rows_ahead(self._ahead, self._plan.ready, time.monotonic() - began)
            self._plan.add(group)
            self._happened.set()

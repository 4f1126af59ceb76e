"""Keeps rows ready to be submitted: read, and their intent written down."""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import islice

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.batch.store.segments import Opened

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
    """Opens segments, and keeps rows ready to be submitted."""

    def __init__(self, batch: RunningBatch) -> None:
        self._batch = batch
        self._ahead = FEWEST_AHEAD
        self._left_over: list[BatchRow] = []

    async def take_over(self) -> None:
        """Open all that an earlier try left: what it has paid for is known before anything is submitted."""
        segments = self._batch.segments
        if segments.has_left_overs:
            log.info("Reading the rows again that earlier tries have left unfinished")
        while segments.has_left_overs and (opened := await segments.open_next()) is not None:
            self._left_over += self._take_in(opened)

    def submit_ambiguous(self) -> None:
        """Submit again what an earlier try may have submitted, and of which no delivery came."""
        for row in self._batch.plan.take_ambiguous():
            self._batch.apply(row, Event.RESUBMITTED)
            self._left_over.append(row)

    async def feed(self) -> None:
        """Announce rows as they are needed, until there are no more, or the scheduler is stopped."""
        batch = self._batch
        await self._announce(self._left_over)
        while not batch.plan.stopped and (opened := await batch.segments.open_next()) is not None:
            await self._announce(self._take_in(opened))

    def _take_in(self, opened: list[Opened]) -> list[BatchRow]:
        for row, event, run_id, result in opened:
            if event is not None:
                self._batch.apply(row, event, run_id=run_id, result=result)
        self._batch.happened.set()
        return [row for row, event, _, _ in opened if event is None]

    async def _announce(self, rows: list[BatchRow]) -> None:
        plan = self._batch.plan
        # A delivery may come for a row that was to be submitted again.
        rest = (row for row in rows if row.state is State.NEW)
        while not plan.stopped:
            wanted = self._ahead - plan.ready
            if wanted <= 0:
                await asyncio.sleep(_ENOUGH_FOR_NOW_SECONDS)
            elif group := list(islice(rest, wanted)):
                await self._announce_group(group)
            else:
                return

    async def _announce_group(self, group: list[BatchRow]) -> None:
        batch, plan = self._batch, self._batch.plan
        for row in group:
            batch.apply(row, Event.ANNOUNCED)
        began = time.monotonic()
        event = Event.RETRACTED
        try:
            await batch.journal_writer.durable()
            if not plan.stopped:
                self._ahead = rows_ahead(self._ahead, plan.ready, time.monotonic() - began)
                event = Event.DURABLE
        finally:
            for row in group:
                # Its delivery may have come meanwhile.
                if row.state is State.ANNOUNCED:
                    batch.apply(row, event)
            batch.happened.set()

"""Takes in the deliveries for a batch, while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.webhooks.mailbox import Mail, Mailbox

# A look into Airflow, not a request to BitScale.
LISTEN_SECONDS = 1.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class Deliveries:
    """What a delivery does to its row.

    :param mailbox: where deliveries come; None where none are expected.
    """

    def __init__(self, batch: RunningBatch, mailbox: Mailbox | None) -> None:
        self._batch = batch
        self._mailbox = mailbox
        # What came before the answer to its submission.
        self._early: dict[int, Mail] = {}
        self._has_complained = False

    async def listen(self) -> None:
        """Take in what comes, until cancelled."""
        while self._mailbox is not None:
            await self.collect()
            if self._mailbox.has_read_pages:
                await self._batch.recorder.durable()
                await self._ask(self._mailbox.drop_read_pages)
            await asyncio.sleep(LISTEN_SECONDS)

    async def collect(self) -> None:
        """Take in what has come."""
        while self._mailbox is not None and (mails := await self._ask(self._mailbox.collect)):
            for mail in mails:
                self._take_in(mail)

    def is_told(self, row: int) -> bool:
        """Whether a delivery for this row came before the answer to its submission."""
        return row in self._early

    def answered(self, row: int) -> None:
        """The submission of this row has been answered, or will not be: its delivery may have been faster."""
        if (mail := self._early.pop(row, None)) is not None:
            self._take_in(mail)

    async def _ask(self, ask: Callable[[], T]) -> T | None:
        try:
            return await asyncio.to_thread(ask)
        except Exception as problem:
            # The looks that go on beside this will see the ends of the runs.
            if not self._has_complained:
                log.warning("Airflow could not be asked for deliveries: %s", problem)
            self._has_complained = True
            return None

    def _take_in(self, mail: Mail) -> None:
        plan, row = self._batch.plan, mail.row
        if plan.is_posting(row):
            self._note(mail)
            self._early[row] = mail
        elif plan.is_in_doubt(row):
            self._note(mail)
            plan.doubt_ended(row, time.monotonic())
            self._tell(mail)
        elif plan.is_watched(row) and self._batch.shelf.run_id(row) == mail.run_id:
            self._tell(mail)
        elif plan.is_watched(row):
            log.warning("Row %d was paid for more than once: run %s has ended, too", row + 1, mail.run_id)
        # All others are settled: a delivery is repeated where its acknowledgement is lost.
        self._batch.happened.set()

    def _note(self, mail: Mail) -> None:
        """The run is ours, whatever becomes of the answer."""
        self._batch.shelf.accepted(mail.row, mail.run_id)
        self._batch.recorder.changed()

    def _tell(self, mail: Mail) -> None:
        batch = self._batch
        batch.plan.hint(mail.row)
        # A look that is on its way will tell the same.
        if batch.request.trust_webhook and not batch.plan.is_looked_at(mail.row):
            run = parse_run(mail.payload)
            batch.end(mail.row, run, batch.settled(run, mail.run_id))

"""Takes in the deliveries for a batch, while it runs."""

from __future__ import annotations

import asyncio
import logging
import time

from airflow_provider_bitscale.api.models import RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.batch.plan.error_policy import has_result
from airflow_provider_bitscale.batch.run_ids import claim
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.runs.polling import LISTEN_SECONDS
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue, QueuedDelivery

log = logging.getLogger(__name__)


class Inbox:
    """What a delivery does to its row.

    :param delivery_queue: where deliveries come; None where none are expected.
    """

    def __init__(self, batch: RunningBatch, delivery_queue: DeliveryQueue | None) -> None:
        self._batch = batch
        self._delivery_queue = delivery_queue
        # What came before the answer to its submission, or to a look.
        self._early: dict[int, QueuedDelivery] = {}

    async def listen(self) -> None:
        """Take in what comes, until cancelled."""
        has_complained = False
        while self._delivery_queue is not None:
            try:
                await self.collect()
                if self._delivery_queue.has_read_pages:
                    await self._batch.journal_writer.durable()
                    await asyncio.to_thread(self._delivery_queue.drop_read_pages)
            except Exception as problem:
                # The looks that go on beside this will see the ends of the runs.
                if not has_complained:
                    log.warning("Deliveries cannot be taken in: %s", problem, exc_info=True)
                has_complained = True
            await asyncio.sleep(LISTEN_SECONDS)

    async def collect(self) -> None:
        """Take in what has come; raises what the store raises."""
        while self._delivery_queue is not None and (
            deliveries := await asyncio.to_thread(self._delivery_queue.collect)
        ):
            for delivery in deliveries:
                self._take_in(delivery)
        for row in [row for row in self._early if not self._batch.plan.is_posting(row)]:
            self.answered(row)

    def came_early(self, row: int) -> bool:
        """Whether a delivery for this row came before the answer to its submission."""
        return row in self._early

    def answered(self, row: int) -> None:
        """A request about this row has been answered, or will not be: its delivery may have been faster."""
        if (delivery := self._early.pop(row, None)) is not None:
            self._take_in(delivery)

    def _take_in(self, delivery: QueuedDelivery) -> None:
        plan, segments, row = self._batch.plan, self._batch.segments, delivery.row
        if plan.is_posting(row):
            if self._note(delivery):
                self._early[row] = delivery
        elif plan.is_in_doubt(row):
            plan.doubt_ended(row, time.monotonic())
            if self._note(delivery):
                self._tell(delivery)
        elif plan.is_watched(row) and segments.run_id(row) == delivery.run_id:
            self._tell(delivery)
        elif plan.is_watched(row) and not segments.may_be_paid(row):
            # Submitted once, and accepted as another run.
            log.warning(
                "A delivery names run %s for row %d, which is run %s: it is ignored",
                delivery.run_id,
                row + 1,
                segments.run_id(row),
            )
        elif plan.is_watched(row):
            log.warning("Row %d was paid for more than once: run %s has ended, too", row + 1, delivery.run_id)
            # The other one may fail yet.
            if parse_run(delivery.payload).status is RunStatus.COMPLETED and self._note(delivery):
                self._tell(delivery)
        elif segments.may_be_paid(row) and segments.is_to_be_submitted(row):
            segments.doubt_ended(row)
            plan.withdraw(row, time.monotonic())
            if self._note(delivery):
                self._tell(delivery)
        # All others are settled: a delivery is repeated where its acknowledgement is lost.
        self._batch.happened.set()

    def _note(self, delivery: QueuedDelivery) -> bool:
        """The run is ours, whatever becomes of the answer; unless it is of another row, too."""
        if not claim(self._batch, delivery.row, delivery.run_id):
            return False
        self._batch.accepted(delivery.row, delivery.run_id)
        return True

    def _tell(self, delivery: QueuedDelivery) -> None:
        batch, run = self._batch, parse_run(delivery.payload)
        batch.plan.hint(delivery.row)
        if has_result(run):
            batch.plan.brake.understood(ended=True)
        if not batch.request.trust_webhook or not has_result(run):
            return
        if batch.plan.watch.is_being_polled(delivery.row):
            # The answer is likely to tell the same.
            self._early[delivery.row] = delivery
        else:
            batch.end(delivery.row, run, batch.settled_by(run, delivery.run_id))

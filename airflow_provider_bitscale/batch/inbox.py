"""Takes in the deliveries for a batch, while it runs."""

from __future__ import annotations

import asyncio
import logging

from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.error_policy import has_result
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.runs.polling import LISTEN_SECONDS
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue

log = logging.getLogger(__name__)


class Inbox:
    """What a delivery does to its row."""

    def __init__(self, batch: RunningBatch, delivery_queue: DeliveryQueue | None) -> None:
        self._batch = batch
        self._delivery_queue = delivery_queue
        # Rows that may hold a delivery which came before the answer to a request.
        self._holding: list[BatchRow] = []

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
                # The polls that go on beside this will see the ends of the runs.
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
                # Rows of segments that are written have their results: a delivery is repeated where its
                # acknowledgement is lost.
                if (row := self._batch.segments.find(delivery.row)) is not None:
                    self._take_in(row, parse_run(delivery.payload))
        holding, self._holding = self._holding, []
        for row in holding:
            if row.state is State.SENDING:
                self._holding.append(row)
            else:
                self.take_in_held(row)

    def take_in_held(self, row: BatchRow) -> None:
        """Take in the delivery that came before the answer to a request about this row, if one did."""
        run, row.delivery = row.delivery, None
        if run is not None:
            self._take_in(row, run)

    def _take_in(self, row: BatchRow, run: Run) -> None:
        if row.state is State.SENDING:
            if self._is_noted(row, run):
                self._hold(row, run)
        elif row.awaits_delivery or (row.is_unsent and row.unanswered):
            if self._is_noted(row, run):
                self._hint(row, run)
        elif row.state not in (State.RUNNING, State.POLLING):
            # A delivery is repeated where its acknowledgement is lost.
            pass
        elif row.run_id == run.run_id:
            self._hint(row, run)
        elif not row.unanswered:
            # Submitted once, and accepted as another run.
            log.warning(
                "A delivery names run %s for row %d, which is run %s: it is ignored",
                run.run_id,
                row.number + 1,
                row.run_id,
            )
        else:
            log.warning(
                "Row %d was paid for more than once: run %s has ended, too", row.number + 1, run.run_id
            )
            # The other one may fail yet.
            if run.status is RunStatus.COMPLETED and self._is_noted(row, run):
                self._hint(row, run)
        self._batch.happened.set()

    def _is_noted(self, row: BatchRow, run: Run) -> bool:
        """Note that the run is of this row, unless it is of another one, too; return whether it is."""
        if not self._batch.claim(row, str(run.run_id)):
            return False
        self._batch.apply(row, Event.DELIVERED, run_id=run.run_id)
        return True

    def _hint(self, row: BatchRow, run: Run) -> None:
        batch = self._batch
        batch.apply(row, Event.HINTED)
        if has_result(run):
            batch.plan.brake.note_understood(ended=True)
        if not batch.request.trust_webhook or not has_result(run):
            return
        if row.state is State.POLLING:
            # The answer is likely to show the same.
            self._hold(row, run)
        else:
            batch.end(row, run, run.run_id)

    def _hold(self, row: BatchRow, run: Run) -> None:
        row.delivery = run
        self._holding.append(row)

"""Submits rows, and does what follows from the answers."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_bitscale.api.error_answers import excerpt_of
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.inbox import Inbox
from airflow_provider_bitscale.batch.plan.error_policy import (
    SubmitAction,
    after_failed_submission,
    has_result,
    stopped_by,
)
from airflow_provider_bitscale.batch.plan.trouble import Trouble, pause_after
from airflow_provider_bitscale.batch.row_result import FAILED, UNKNOWN, RowResult, accepted
from airflow_provider_bitscale.batch.run_ids import claim
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.runs.polling import UNAUTHORIZED_SECONDS

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.models import Run

# A row whose submission is in doubt is submitted so often, where the user prefers that.
MAX_SUBMISSIONS = 3
# For so long submissions may come to nothing, one after another.
_PATIENCE_SECONDS = 300.0

log = logging.getLogger(__name__)


class Submissions:
    """All submissions of one batch."""

    def __init__(self, batch: RunningBatch, deliveries: Inbox) -> None:
        self._batch = batch
        self._inbox = deliveries
        # How often a row was submitted without anybody knowing what became of it.
        self._doubtful: dict[int, int] = {}
        self._trouble = Trouble()

    async def submit(self, row: int) -> None:
        """Submit a row, with a slot that has been taken."""
        batch = self._batch
        request = batch.request
        try:
            batch.sent_log.sending(row)
            run = await batch.client.send_now(
                lambda contract: contract.run_grid(
                    request.grid_id,
                    batch.segments.inputs(row),
                    mode=request.mode,
                    output_columns=request.output_columns,
                    webhook_url=request.webhook_url_of(row),
                    recipe=request.recipe,
                    timeout=request.timeout if request.mode == "sync" else None,
                )
            )
        except BitScaleError as error:
            batch.plan.outage.note(error, time.monotonic())
            self._failed(row, error)
            return
        batch.plan.outage.note(run, time.monotonic())
        batch.segments.tally.submitted += 1
        self._trouble.ended()
        self._accepted(row, run)

    def _accepted(self, row: int, run: Run) -> None:
        batch, now = self._batch, time.monotonic()
        # Should no poll be understood, the answer may tell a person which run is meant.
        told = () if run.id_is_documented else (*run.unexpected, excerpt_of(run.raw))
        batch.plan.brake.read(row, told)
        if run.run_id is not None:
            claim(batch, row, run.run_id)
        if not batch.plan.is_posting(row):
            # It was settled meanwhile: its run is of another row, too.
            return
        if run.run_id is None or (batch.request.mode == "sync" and has_result(run)):
            batch.plan.brake.understood(ended=True)
            settled = batch.settled_by(run, run.run_id)
            batch.answered(row, settled)
            batch.end(row, run, settled)
            return
        batch.accepted(row, run.run_id)
        batch.plan.accepted(row, now)
        self._inbox.answered(row)

    def _failed(self, row: int, error: BitScaleError) -> None:
        batch = self._batch
        plan, tally = batch.plan, batch.segments.tally
        submissions = self._doubtful.get(row, 0) + 1
        may_pay_twice = batch.request.resubmit_ambiguous and submissions < MAX_SUBMISSIONS
        is_delivered = self._inbox.came_early(row)
        then = after_failed_submission(
            error,
            may_pay_twice=may_pay_twice and not plan.stopped,
            expects_deliveries=batch.request.expects_deliveries,
            is_delivered=is_delivered,
        )
        if then in (SubmitAction.KEEP, SubmitAction.FAIL) and error.status is not None:
            # BitScale itself has answered: a row may be refused before it is sent.
            self._trouble.ended()
        if not plan.is_posting(row):
            # It was settled meanwhile: its delivery told a run that is of another row, too.
            return
        if then is SubmitAction.KEEP:
            self._keep(row, error)
        elif then is SubmitAction.SUBMIT_AGAIN:
            log.warning("Row %d is submitted again, and may be paid for twice: %s", row + 1, error)
            self._doubtful[row] = submissions
            tally.submitted += 1
            batch.segments.doubt(row)
            plan.hold(self._paused_until(error, time.monotonic()))
            plan.submit_again(row)
        elif then is SubmitAction.AWAIT:
            log.warning("Row %d is in doubt until its delivery comes: %s", row + 1, error)
            tally.submitted += 1
            plan.doubt(row, time.monotonic())
            self._inbox.answered(row)
        elif then is SubmitAction.PARK:
            tally.submitted += 1
            plan.given_up(row)
            batch.settle(row, RowResult(UNKNOWN, error=str(error)))
        elif then is SubmitAction.FAIL:
            settled = RowResult(FAILED, error=str(error))
            batch.refused(row, settled)
            plan.refused(row)
            batch.settle(row, settled)
        else:
            self._not_processed(row, error, then)
            return
        if then is SubmitAction.KEEP:
            if plan.brake.unreadable():
                batch.stop("unreadable_answers", error)
        elif not is_delivered and plan.brake.not_accepted(error):
            batch.stop("refused" if then is SubmitAction.FAIL else "ambiguous_answers", error)

    def _keep(self, row: int, error: BitScaleError) -> None:
        """The row was accepted, and its answer cannot be read: it is paid for, and never submitted again."""
        batch = self._batch
        log.warning("Row %d: %s", row + 1, error)
        batch.segments.tally.submitted += 1
        settled = accepted(str(error))
        awaited = batch.request.expects_deliveries
        if not awaited or batch.request.resubmit_ambiguous:
            # Else a later try waits for the delivery as well.
            batch.answered(row, settled)
        if awaited:
            batch.segments.leave_as(row, settled)
            batch.plan.doubt(row, time.monotonic())
            self._inbox.answered(row)
        else:
            batch.plan.given_up(row)
            batch.settle(row, settled)

    def _not_processed(self, row: int, error: BitScaleError, then: SubmitAction) -> None:
        batch = self._batch
        now = time.monotonic()
        batch.sent_log.not_processed(row)
        batch.plan.put_back(row, self._paused_until(error, now))
        if then is SubmitAction.STOP:
            batch.stop(stopped_by(error), error)
        elif then is SubmitAction.ABORT or self._trouble.lasts(_PATIENCE_SECONDS, now):
            batch.give_up_submitting(error)
        elif then is SubmitAction.KEY_REFUSED and batch.plan.outage.key_refused_for >= UNAUTHORIZED_SECONDS:
            batch.abort(error)
        elif batch.plan.stopped:
            batch.prefetch.stop()

    def _paused_until(self, error: BitScaleError, now: float) -> float:
        """Count one more submission that came to nothing; when anything may be submitted again."""
        self._trouble.failed(error.left_at, now)
        return now + max(pause_after(self._trouble.failures), error.retry_after or 0.0)

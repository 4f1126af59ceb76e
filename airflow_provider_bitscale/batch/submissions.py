"""Submits rows, and applies the answers to them."""

from __future__ import annotations

import logging
import time

from airflow_provider_bitscale.api.error_answers import excerpt_of
from airflow_provider_bitscale.api.errors import AuthenticationError, BitScaleError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.retry import backoff
from airflow_provider_bitscale.batch.inbox import Inbox
from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.error_policy import (
    after_failed_submission,
    has_result,
    is_passing,
    stopped_by,
)
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.plan.outage import FailureStreak
from airflow_provider_bitscale.batch.row_result import FAILED, UNKNOWN, RowResult, unreadable_acceptance
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.runs.polling import UNAUTHORIZED_SECONDS

# How often a row is submitted whose submissions are ambiguous, where the user prefers that.
MAX_SUBMISSIONS = 3
# For how long submissions may fail, one after another.
_PATIENCE_SECONDS = 300.0

log = logging.getLogger(__name__)


class Submissions:
    """All submissions of one batch."""

    def __init__(self, batch: RunningBatch, inbox: Inbox) -> None:
        self._batch = batch
        self._inbox = inbox
        self._streak = FailureStreak()

    async def submit(self, row: BatchRow) -> None:
        """Submit a row, with a slot that has been taken."""
        batch = self._batch
        request = batch.request
        try:
            batch.sent_log.sending(row.number)
            run = await batch.client.send_now(
                lambda contract: contract.run_grid(
                    request.grid_id,
                    batch.segments.inputs(row),
                    mode=request.mode,
                    output_columns=request.output_columns,
                    webhook_url=request.webhook_url_of(row.number),
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
        self._streak.reset()
        self._accepted(row, run)

    def _accepted(self, row: BatchRow, run: Run) -> None:
        batch, brake = self._batch, self._batch.plan.brake
        # Should no poll be understood, a person may see in the answer which run is meant.
        unexpected = () if run.id_is_documented else (*run.unexpected, excerpt_of(run.raw))
        brake.note_accepted(row.number, unexpected)
        if run.run_id is not None:
            batch.claim(row, run.run_id)
        if row.state is not State.SENDING:
            # It has its result by now: its run belongs to another row, too.
            return
        if run.run_id is None or (batch.request.mode == "sync" and has_result(run)):
            brake.note_understood(ended=True)
            batch.end(row, run, run.run_id)
            return
        batch.apply(row, Event.ACCEPTED, run_id=run.run_id)
        if row.delivery is not None:
            self._inbox.take_in_held(row)

    def _failed(self, row: BatchRow, error: BitScaleError) -> None:
        batch = self._batch
        plan = batch.plan
        is_delivered = row.delivery is not None
        may_pay_twice = batch.request.resubmit_ambiguous and row.resubmissions + 1 < MAX_SUBMISSIONS
        event = after_failed_submission(
            error,
            may_pay_twice=may_pay_twice and not plan.stopped,
            expects_deliveries=batch.request.expects_deliveries,
            is_delivered=is_delivered,
        )
        if event in (Event.UNREADABLE, Event.REFUSED) and error.status is not None:
            # BitScale itself has answered: a row may be refused before it is sent.
            self._streak.reset()
        if row.state is not State.SENDING:
            # It has its result by now: its delivery had a run that belongs to another row, too.
            return
        if event is Event.NOT_PROCESSED:
            self._not_processed(row, error)
            return
        batch.segments.tally.submitted += event is not Event.REFUSED
        if event is Event.UNREADABLE:
            self._keep(row, error)
            if plan.brake.note_unreadable():
                batch.stop("unreadable_answers", error)
            return
        if event is Event.RESUBMITTED:
            log.warning("Row %d is submitted again, and may be paid for twice: %s", row.number + 1, error)
            plan.hold(self._paused_until(error, time.monotonic()))
            batch.apply(row, event)
        elif event is Event.LOST:
            log.warning("Row %d is ambiguous until its delivery comes: %s", row.number + 1, error)
            batch.apply(row, event)
            self._inbox.take_in_held(row)
        else:
            status = FAILED if event is Event.REFUSED else UNKNOWN
            batch.apply(row, event, result=RowResult(status, error=str(error)))
        if not is_delivered and plan.brake.note_not_accepted(error):
            batch.stop("refused" if event is Event.REFUSED else "ambiguous_answers", error)

    def _keep(self, row: BatchRow, error: BitScaleError) -> None:
        """Keep a row that was accepted with an unreadable answer: paid for, never submitted again."""
        batch, request = self._batch, self._batch.request
        log.warning("Row %d: %s", row.number + 1, error)
        row.fallback = unreadable_acceptance(str(error))
        # A later try that may submit again has to know. One that does not waits for the delivery as well.
        is_known_later = not request.expects_deliveries or request.resubmit_ambiguous
        batch.apply(row, Event.UNREADABLE if is_known_later else Event.LOST)
        if request.expects_deliveries:
            self._inbox.take_in_held(row)
        else:
            batch.apply(row, Event.GIVEN_UP, result=row.fallback)

    def _not_processed(self, row: BatchRow, error: BitScaleError) -> None:
        batch, plan, now = self._batch, self._batch.plan, time.monotonic()
        plan.hold(self._paused_until(error, now))
        batch.apply(row, Event.NOT_PROCESSED)
        if (reason := stopped_by(error)) is not None:
            batch.stop(reason, error)
        elif not is_passing(error) or self._streak.lasts(_PATIENCE_SECONDS, now):
            batch.give_up_submitting(error)
        elif isinstance(error, AuthenticationError) and plan.outage.key_refused_for >= UNAUTHORIZED_SECONDS:
            batch.abort(error)
        elif plan.stopped:
            batch.stop_submitting()

    def _paused_until(self, error: BitScaleError, now: float) -> float:
        """Count one more submission that failed; when anything may be submitted again."""
        self._streak.failed(error.left_at, now)
        return now + max(backoff(self._streak.failures), error.retry_after or 0.0)

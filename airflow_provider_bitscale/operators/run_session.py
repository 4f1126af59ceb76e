"""One try of a task that runs one row: it submits a run, or goes on with one that has been paid for."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.exceptions import RetryableAmbiguousSubmitError
from airflow_provider_bitscale.operators.run_waiter import RunWaiter
from airflow_provider_bitscale.operators.submission import Submission
from airflow_provider_bitscale.operators.task_state import store_of, try_of
from airflow_provider_bitscale.runs import run_record
from airflow_provider_bitscale.runs.adoption import refusal, result_without_record
from airflow_provider_bitscale.runs.outcome import FAILED, Outcome
from airflow_provider_bitscale.runs.polling import poll_once
from airflow_provider_bitscale.runs.resume import is_cleared

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.deferral import Deferral
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
    from airflow_provider_bitscale.runs.options import RunOptions

log = logging.getLogger(__name__)


class RunSession:
    """Each way through ends with the task's result, or with what the task defers on."""

    def __init__(self, options: RunOptions, hook: BitScaleHook, context: Context) -> None:
        self._options = options
        self._hook = hook
        self._context = context
        self._records = run_record.RunRecords(store_of(context))
        self._waiter: RunWaiter | None = None

    def start(self) -> dict[str, Any] | Deferral:
        """Submit a run, or go on with the one that an earlier try paid for, or that a person names."""
        options, config, this_try = self._options, self._hook.config, try_of(self._context)
        fingerprint = options.request.fingerprint(config.base_url, config.workspace_id)
        if (run_id := self._records.run_to_adopt(this_try)) is not None:
            return self._adopt(run_id, fingerprint)
        record = self._records.read()
        if record is not None and record.lacks_id and record.fingerprint == fingerprint:
            record = self._records.delivered(record) or record
        step = run_record.next_step(
            record, fingerprint=fingerprint, this_try=this_try, resubmit_ambiguous=options.resubmit_ambiguous
        )
        if isinstance(step, run_record.Ambiguous):
            return self._wait_for(step.record).await_delivery(step.error)
        if isinstance(step, run_record.Attach):
            return self._attach(step.record)
        if (warning := step.warning(fingerprint)) is not None:
            log.warning(warning)
        return self._submit(fingerprint)

    def resume(self, event: Any) -> dict[str, Any] | Deferral:
        """Go on with the event of the trigger.

        :raises ValueError: the event is not one of ours.
        """
        outcome = Outcome.from_event(event)
        record = self._records.read()
        if record is not None:
            return self._wait_for(record).resume(outcome)
        result = result_without_record(outcome, self._options.grid_id, self._options.miss_values)
        log.warning("The record of the run is gone; its outputs are keyed by column id")
        return result

    @property
    def kill_warning(self) -> str | None:
        """What to log when the task is killed; None if no run is under way."""
        waiter = self._waiter
        if waiter is None or not waiter.in_flight:
            return None
        return (
            f"Killed. BitScale cannot cancel a run: {waiter.in_flight} goes on and is paid for. "
            f"{waiter.way_back}"
        )

    def _submit(self, fingerprint: str) -> dict[str, Any] | Deferral:
        """Check everything, write down the intent, POST, go on with the answer.

        What BitScale refuses was not processed. If the request follows from an outdated schema of the grid,
        and another one follows from the schema it has now, that one is POSTed, once.
        """
        submission = Submission(self._options, self._hook, self._context, fingerprint)
        try:
            return self._submit_checked(submission)
        except errors.InvalidRequestError as refusal:
            if not submission.is_another_now(refusal):
                raise
        log.info("BitScale refused the run by what processes share of the grid, which has changed meanwhile")
        return self._submit_checked(submission)

    def _submit_checked(self, submission: Submission) -> dict[str, Any] | Deferral:
        inputs = submission.checked_inputs()
        webhook_url, delivery_key = submission.webhook()
        record = submission.record(delivery_key)
        intent = run_record.Intent(self._records, record)
        try:
            run = submission.send(inputs, webhook_url, intent)
        except errors.UnreadableAcceptanceError as error:
            return self._wait_for(record).record_unreadable(error)
        except errors.AmbiguousSubmitError as error:
            if self._options.resubmit_ambiguous:
                raise RetryableAmbiguousSubmitError(**error.fields()) from None
            if record.delivery_key is None:
                error.message += f". {run_record.RUN_RECOVERY}"
            return self._wait_for(record).await_delivery(error)
        except errors.BitScaleError:
            intent.not_processed()
            raise
        return self._wait_for(record).take_answer(run)

    def _adopt(self, run_id: str, fingerprint: str) -> dict[str, Any] | Deferral:
        """Go on with the run that a person names, whatever the record says, if this grid has it."""
        grid_id = self._options.grid_id
        seen = poll_once(self._hook.client.run_poller(grid_id, run_id))
        if (problem := refusal(seen, grid_id=grid_id, run_id=run_id)) is not None:
            raise problem
        submission = Submission(self._options, self._hook, self._context, fingerprint)
        record = submission.record().submitted(run_id)
        self._records.adopted(record)
        log.info("Adopted run %s, as the key %r of the task's state store said", run_id, run_record.ADOPT_KEY)
        return self._attach(record)

    def _attach(self, record: run_record.Record) -> dict[str, Any] | Deferral:
        if record.run_id is None:
            log.info("An earlier try has the result of its synchronous run; returning that")
            return record.result or {}
        log.info("Going on with run %s, which has been paid for", record.run_id)
        this_try = try_of(self._context)
        cleared = is_cleared(record.last_try, this_try, succeeded=False)
        late = record.deadline <= time.time()
        if cleared or late:
            deadline = time.time() + self._options.timeout if late else record.deadline
            record = replace(record, last_try=this_try, deadline=deadline)
            self._records.write(record)
        waiter = self._wait_for(record)
        seen = waiter.poll()
        step = waiter.after(seen)
        if isinstance(step, Outcome) and step.kind == FAILED:
            if waiter.is_futile(step) and not cleared:
                return waiter.collect(step)
            log.info("BitScale reports run %s as failed; submitting another one", record.run_id)
            self._records.forget()
            return self._submit(record.fingerprint)
        return waiter.wait(seen)

    def _wait_for(self, record: run_record.Record) -> RunWaiter:
        # Kept for the warning when the task is killed.
        self._waiter = RunWaiter(self._options, self._hook, self._context, self._records, record)
        return self._waiter

"""Waits for one run, here or in the triggerer, keeps its record up to date and collects its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.deferral import Bounds, Deferral, defers, raise_if_try_ended
from airflow_provider_bitscale.operators.task_state import address_of
from airflow_provider_bitscale.runs.failures import account_error, failure_of
from airflow_provider_bitscale.runs.outcome import TIMED_OUT, Outcome
from airflow_provider_bitscale.runs.planned_polls import watch_run
from airflow_provider_bitscale.runs.poll_loop import watch
from airflow_provider_bitscale.runs.polling import LISTEN_SECONDS, RunDecision, Wait, poll_once
from airflow_provider_bitscale.runs.result import completed_run, completed_sync_run, run_result
from airflow_provider_bitscale.runs.run_record import (
    NOT_TOLD,
    RUN_RECOVERY,
    UNREADABLE,
    Ambiguous,
    Record,
    adopt_advice,
)
from airflow_provider_bitscale.runs.state_store import DurableWrite
from airflow_provider_bitscale.webhooks.submission_events import note_submission

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
    from airflow_provider_bitscale.runs.options import RunOptions
    from airflow_provider_bitscale.runs.run_record import RunRecords

log = logging.getLogger(__name__)

# The XCom that a sensor takes.
ADDRESS_XCOM = "delivery_address"
# Seconds for which a write of what has been paid for is repeated, where nothing else is to be done.
STORE_PATIENCE = 300.0


class RunWaiter:
    """Waits for the run of one record. A run whose id is not known can only be told by its delivery.

    Methods that wait return the task's result, or what the task defers on.
    """

    def __init__(
        self, options: RunOptions, hook: BitScaleHook, context: Context, records: RunRecords, record: Record
    ) -> None:
        self._options = options
        self._hook = hook
        self._context = context
        self._records = records
        self._record = record
        # The write of the id, until the store has taken it.
        self._unsaved: DurableWrite | None = None
        # The id, while the run is waited for.
        self.in_flight = record.run_id

    def take_answer(self, answer: Run) -> dict[str, Any] | Deferral:
        """Go on with the answer to the submission.

        :raises AmbiguousSubmitError: a run was started whose id could not be kept.
        """
        run_id = answer.run_id
        if run_id is None:
            return self._collect_sync(answer)
        log.info("BitScale accepted run %s of grid %s", run_id, self._record.grid_id)
        # A sync run that is answered as running was submitted long ago.
        at = time.time() if self._options.mode == "async" else None
        self._record, self.in_flight = self._record.submitted(run_id, at=at), run_id
        self._save_id(self._write(self._record))
        return self.wait(answer)

    def poll(self) -> Run | errors.BitScaleError:
        """Poll once."""
        return poll_once(self._poller())

    def after(self, seen: Run | errors.BitScaleError) -> Wait | Outcome:
        """Return what follows a poll."""
        return self._decision.after(seen, time.time(), 0.0)

    def wait(self, seen: Run | errors.BitScaleError) -> dict[str, Any] | Deferral:
        """Wait for the run, here or in the triggerer, unless what was seen of it is enough."""
        options, record = self._options, self._record
        if not options.wait_for_completion:
            status = seen.status.value if isinstance(seen, Run) else "unknown"
            self._context["ti"].xcom_push(ADDRESS_XCOM, self._delivery_address or {})
            if self._delivery_address is not None:
                note_submission(self._context, str(record.run_id), record.grid_id, options.bitscale_conn_id)
            return {"run_id": record.run_id, "grid_id": record.grid_id, "status": status}
        step = self.after(seen)
        if isinstance(step, Wait) and self._unsaved is not None:
            step = self._wait_until_saved(step)
        if isinstance(step, Outcome):
            return self.collect(step)
        if defers(options.deferrable):
            return self._deferral()
        return self.collect(watch_run(self._hook.client, record, self._decision, step))

    def resume(self, outcome: Outcome) -> dict[str, Any] | Deferral:
        """Go on with what the trigger has seen.

        :raises AirflowTaskTimeout: ``execution_timeout`` has ended the try.
        """
        record = self._record
        if record.lacks_id:
            if self._records.delivered(record) is None:
                raise_if_try_ended(outcome, f"the delivery that would tell the run of grid {record.grid_id}")
            return self.take_delivered()
        raise_if_try_ended(
            outcome, f"run {record.run_id} of grid {record.grid_id}, which goes on and is paid for"
        )
        return self.collect(outcome)

    def record_unreadable(self, error: errors.BitScaleError) -> dict[str, Any] | Deferral:
        """Record that BitScale accepted a run that its answer does not name, so that none is paid again.

        :raises UnreadableAcceptanceError: no delivery is expected that would name it, or none came in time.
        """
        self._record = replace(self._record, phase=UNREADABLE, answer=error.message)
        try:
            self._write(self._record).persist(STORE_PATIENCE)
        except Exception:
            # What was answered matters more. A retry finds the intent, and fails as ambiguous.
            log.exception("The task's state store did not take that a run was paid for")
        error.message += f". {RUN_RECOVERY}"
        return self.await_delivery(error)

    def await_delivery(self, ambiguous: errors.BitScaleError) -> dict[str, Any] | Deferral:
        """Wait for the delivery that tells which run was paid for, and go on with that.

        :raises BitScaleError: ``ambiguous``, if no delivery is expected or none came in time.
        """
        if self._record.delivery_key is None:
            raise ambiguous
        log.warning("%s. Waiting for its delivery, which would tell", ambiguous)
        if defers(self._options.deferrable) and time.time() < self._record.deadline:
            return self._deferral()
        return self.take_delivered(until=self._record.deadline)

    def take_delivered(self, until: float = 0.0) -> dict[str, Any] | Deferral:
        """Go on with the run that a delivery has told.

        :param until: Unix seconds up to which it may still come.
        :raises AmbiguousSubmitError: none has come.
        :raises UnreadableAcceptanceError: none has come, and the run was paid for.
        """
        while (delivered := self._records.delivered(self._record)) is None and time.time() < until:
            time.sleep(LISTEN_SECONDS)
        if delivered is None:
            if self._record.phase == UNREADABLE:
                raise Ambiguous(self._record).error
            raise errors.AmbiguousSubmitError(f"{NOT_TOLD}. {RUN_RECOVERY}")
        self._record, self.in_flight = delivered, delivered.run_id
        return self.wait(self.poll())

    def collect(self, outcome: Outcome) -> dict[str, Any]:
        """Turn an outcome into the task's result, or its failure."""
        try:
            run = completed_run(outcome, self._record.grid_id, str(self._record.run_id))
        except errors.RunFailedError as error:
            self._forget()
            raise failure_of(error, _reason(outcome)) from None
        except errors.BitScaleError as error:
            if self._unsaved is not None:
                raise self._id_lost(error) from error
            if isinstance(error, errors.NotFoundError):
                error.message += f". If BitScale has forgotten the run: {RUN_RECOVERY}"
            raise
        self.in_flight = None
        return self._result(run)

    def is_futile(self, outcome: Outcome) -> bool:
        """Whether another run would fail for the same reason, which is the account's."""
        return account_error(_reason(outcome)) is not None

    @property
    def way_back(self) -> str:
        """How the run is collected after this try, for a log line or an error."""
        if self._unsaved is None:
            return "A retry goes on with it."
        return adopt_advice(self._record.run_id)

    def _write(self, record: Record) -> DurableWrite:
        return DurableWrite(partial(self._records.write, record))

    def _save_id(self, write: DurableWrite) -> None:
        self._unsaved = write
        try:
            if self._options.wait_for_completion:
                saved = write.attempt()
            else:
                # There is nothing else to wait for.
                write.persist(STORE_PATIENCE)
                saved = True
        except Exception as problem:
            raise self._id_lost(problem) from problem
        if saved:
            self._unsaved = None

    def _wait_until_saved(self, step: Wait) -> Wait | Outcome:
        """Wait for the run with its id in memory, until the store takes it or the run has ended."""
        record = self._record
        log.warning(
            "The id of run %s is in this process alone: waiting here until it is written", record.run_id
        )
        while self._unsaved is not None:
            until = min(record.deadline, self._unsaved.next_at)
            decision = replace(self._decision, deadline=until)
            first = Wait(max(0.0, min(step.seconds, until - time.time())))
            outcome = watch(self._poller(), decision, first)
            if outcome.kind != TIMED_OUT or time.time() >= record.deadline:
                return outcome
            self._save_id(self._unsaved)
        log.info("The id of run %s is written", record.run_id)
        return step

    def _id_lost(self, problem: Exception) -> errors.AmbiguousSubmitError:
        run_id, grid_id = self._record.run_id, self._record.grid_id
        return errors.AmbiguousSubmitError(
            f"BitScale accepted run {run_id} of grid {grid_id}, but the task's state store did not take its "
            f"id: {problem}. {self.way_back}"
        )

    def _forget(self) -> None:
        try:
            self._records.forget()
        except Exception as problem:
            # The failure is what the task ends with; a retry that finds the record polls the run once more.
            log.warning("The record of the failed run could not be deleted: %s", problem)

    def _collect_sync(self, answer: Run) -> dict[str, Any] | Deferral:
        """Take the answer of a synchronous run, which cannot be asked for again."""
        try:
            run = completed_sync_run(answer, self._record.grid_id)
        except errors.RunFailedError as error:
            self._forget()
            raise failure_of(error, answer.error) from None
        except errors.UnreadableAcceptanceError as error:
            return self.record_unreadable(error)
        result = self._result(run)
        try:
            self._write(self._record.submitted(None, result)).persist(STORE_PATIENCE)
        except Exception:
            # The result is here and paid for, even if a retry could not have it.
            log.exception("The result could not be written to the task's state store")
        return result

    def _result(self, run: Run) -> dict[str, Any]:
        return run_result(
            run,
            grid_id=self._record.grid_id,
            run_id=self._record.run_id,
            column_names=self._record.column_names,
            input_columns=self._record.input_columns,
            miss_values=self._options.miss_values,
        )

    def _deferral(self) -> Deferral:
        from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

        options, record = self._options, self._record
        bounds = Bounds.of(self._context, record.deadline, options.execution_timeout)
        trigger = RunCompletedTrigger(
            bitscale_conn_id=options.bitscale_conn_id,
            grid_id=record.grid_id,
            run_id=record.run_id,
            poll_interval=options.poll_interval,
            deadline=bounds.end,
            give_up_at=bounds.give_up_at,
            delivery_address=self._delivery_address,
            trust_webhook=options.trust_webhook,
            submitted_at=record.submitted_at,
        )
        return Deferral(trigger, bounds.backstop)

    def _poller(self) -> Callable[[], Run]:
        return self._hook.client.run_poller(self._record.grid_id, str(self._record.run_id))

    @property
    def _delivery_address(self) -> dict[str, Any] | None:
        """Where the run's delivery will be, for a trigger; None if none is expected."""
        key, conn_id = self._record.delivery_key, self._record.delivery_conn_id
        return None if key is None or conn_id is None else address_of(self._context, key, conn_id).as_dict()

    @property
    def _decision(self) -> RunDecision:
        return RunDecision(self._record.deadline, self._options.poll_interval, str(self._record.run_id))


def _reason(outcome: Outcome) -> str | None:
    return (outcome.data or {}).get("error")

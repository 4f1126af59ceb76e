"""What follows a submission: its run is written down, waited for here or in the triggerer, and collected."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.deferral import Bounds, defers, raise_if_try_ended
from airflow_provider_bitscale.operators.task_state import addressee_of, ledger_of
from airflow_provider_bitscale.runs.ledger import INTENT, NOT_TOLD, WAY_OUT, Record
from airflow_provider_bitscale.runs.polling import LISTEN_SECONDS, Outcome, RunDecision, Wait, look_once
from airflow_provider_bitscale.runs.result import completed_run, completed_sync_run, run_result
from airflow_provider_bitscale.webhooks.submissions import note_submission

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.operators.run_grid import RunGridOperator

# Of the XCom that a sensor takes.
DELIVERY_XCOM = "delivery"


class SubmittedRun:
    """The run of one submission, as far as its record knows it: a delivery may have to tell its id."""

    def __init__(self, operator: RunGridOperator, context: Context, record: Record) -> None:
        self._operator = operator
        self._context = context
        self._ledger = ledger_of(context)
        self._record = record
        # The id, while the run is waited for.
        self.in_flight = record.run_id

    def take_answer(self, answer: Run) -> dict[str, Any]:
        """Go on with what BitScale answered to the submission.

        :return: the task's result, here as everywhere.
        :raises AmbiguousSubmitError: a run was started whose id could not be kept.
        """
        run_id, grid_id = answer.run_id, self._record.grid_id
        if run_id is None:
            return self._collect_sync(answer)
        self._operator.log.info("BitScale accepted run %s of grid %s", run_id, grid_id)
        try:
            self.in_flight = run_id
            self._record = self._ledger.submitted(self._record, run_id)
        except Exception as problem:
            raise errors.AmbiguousSubmitError(
                f"BitScale accepted run {run_id} of grid {grid_id}, but its id could not be written to the "
                f"task's state store ({problem}). A RunCompletedSensor can collect it."
            ) from problem
        return self.wait(answer)

    def look(self) -> Run | errors.BitScaleError:
        """Poll once."""
        return look_once(self._operator.hook.run_poller(self._record.grid_id, str(self._record.run_id)))

    def after(self, seen: Run | errors.BitScaleError) -> Wait | Outcome:
        """What follows a look."""
        return self._decision.after(seen, time.time(), 0.0)

    def wait(self, seen: Run | errors.BitScaleError) -> dict[str, Any]:
        """Wait for the run, here or in the triggerer, unless what was seen of it is enough."""
        operator, record = self._operator, self._record
        if not operator.wait_for_completion:
            status = seen.status.value if isinstance(seen, Run) else "unknown"
            self._context["ti"].xcom_push(DELIVERY_XCOM, self._delivery or {})
            if self._delivery is not None:
                note_submission(self._context, str(record.run_id), record.grid_id, operator.bitscale_conn_id)
            return {"run_id": record.run_id, "grid_id": record.grid_id, "status": status}
        step = self.after(seen)
        if isinstance(step, Outcome):
            return self.collect(step)
        if defers(operator.deferrable):
            self._defer()
        return self.collect(operator.hook.watch_run(record.grid_id, self._decision, step))

    def resume(self, outcome: Outcome) -> dict[str, Any]:
        """Go on with what the trigger has seen.

        :raises AirflowTaskTimeout: ``execution_timeout`` has ended the try.
        """
        record = self._record
        if record.phase == INTENT:
            if self._ledger.delivered(record) is None:
                raise_if_try_ended(outcome, f"the delivery that would tell the run of grid {record.grid_id}")
            return self.take_delivered()
        raise_if_try_ended(
            outcome, f"run {record.run_id} of grid {record.grid_id}, which goes on and is paid for"
        )
        return self.collect(outcome)

    def await_delivery(self, doubt: errors.AmbiguousSubmitError) -> dict[str, Any]:
        """Wait for the delivery that tells the run of a submission in doubt, and go on with that.

        :raises AmbiguousSubmitError: none is expected, or none came in time.
        """
        if self._record.delivery_key is None:
            raise doubt
        self._operator.log.warning("%s. Waiting for its delivery, which would tell", doubt)
        if defers(self._operator.deferrable) and time.time() < self._record.deadline:
            self._defer()
        return self.take_delivered(until=self._record.deadline)

    def take_delivered(self, until: float = 0.0) -> dict[str, Any]:
        """Go on with the run that a delivery has told.

        :param until: Unix seconds up to which it may still come.
        :raises AmbiguousSubmitError: none has come.
        """
        while (delivered := self._ledger.delivered(self._record)) is None and time.time() < until:
            time.sleep(LISTEN_SECONDS)
        if delivered is None:
            raise errors.AmbiguousSubmitError(f"{NOT_TOLD}. {WAY_OUT}")
        self._record = delivered
        self.in_flight = delivered.run_id
        return self.wait(self.look())

    def collect(self, outcome: Outcome) -> dict[str, Any]:
        """Turn an outcome into the task's result, or its failure."""
        try:
            run = completed_run(outcome, self._record.grid_id, str(self._record.run_id))
        except errors.RunFailedError:
            self._ledger.forget()
            raise
        except errors.NotFoundError as error:
            error.message += f". If BitScale has forgotten the run: {WAY_OUT}"
            raise
        self.in_flight = None
        return self._result(run)

    def _collect_sync(self, answer: Run) -> dict[str, Any]:
        """Take the answer of a synchronous run, which cannot be asked for again."""
        try:
            run = completed_sync_run(answer, self._record.grid_id)
        except errors.RunFailedError:
            self._ledger.forget()
            raise
        result = self._result(run)
        try:
            self._ledger.submitted(self._record, None, result)
        except Exception:
            # The result is here and paid for; that a retry could not have it is no reason to lose it.
            self._operator.log.exception("The result could not be written to the task's state store")
        return result

    def _result(self, run: Run) -> dict[str, Any]:
        return run_result(
            run,
            grid_id=self._record.grid_id,
            run_id=self._record.run_id,
            column_names=self._record.column_names,
            input_columns=self._record.input_columns,
            miss_values=self._operator.miss_values,
        )

    def _defer(self) -> None:
        from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

        operator, record = self._operator, self._record
        bounds = Bounds.of(operator, self._context, record.deadline)
        trigger = RunCompletedTrigger(
            bitscale_conn_id=operator.bitscale_conn_id,
            grid_id=record.grid_id,
            run_id=record.run_id,
            poll_interval=operator.poll_interval,
            deadline=bounds.end,
            give_up_at=bounds.give_up_at,
            delivery=self._delivery,
            trust_webhook=operator.trust_webhook,
        )
        operator.defer(trigger=trigger, method_name="execute_complete", timeout=bounds.backstop)

    @property
    def _delivery(self) -> dict[str, Any] | None:
        """Where the run's delivery will be, for a trigger; None if none is expected."""
        key = self._record.delivery_key
        return None if key is None else asdict(addressee_of(self._context, key))

    @property
    def _decision(self) -> RunDecision:
        return RunDecision(self._record.deadline, self._operator.poll_interval, str(self._record.run_id))

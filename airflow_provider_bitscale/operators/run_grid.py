"""Runs a grid on one row, and pays for it once."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.exceptions import RetryableAmbiguousSubmitError, airflow_errors
from airflow_provider_bitscale.links import BitScaleGridLink, BitScaleResultLink
from airflow_provider_bitscale.operators.rendered import arguments, refuse
from airflow_provider_bitscale.operators.run_waiter import RunWaiter
from airflow_provider_bitscale.operators.submission import Submission
from airflow_provider_bitscale.operators.task_state import remember_success, run_records_of, try_of
from airflow_provider_bitscale.runs.adoption import refusal, result_without_record
from airflow_provider_bitscale.runs.options import (
    Mode,
    OnAmbiguousSubmit,
    OutputKey,
    option_problems,
    seconds,
)
from airflow_provider_bitscale.runs.polling import FAILED, Outcome, poll_once
from airflow_provider_bitscale.runs.request import RunRequest
from airflow_provider_bitscale.runs.resume import is_cleared
from airflow_provider_bitscale.runs.run_record import (
    ADOPT_KEY,
    RUN_RECOVERY,
    Ambiguous,
    Attach,
    Intent,
    Record,
    next_step,
)
from airflow_provider_bitscale.runs.undefined import GivenArguments, templated
from airflow_provider_bitscale.webhooks.submission_events import SUBMITTED_RUNS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook


class RunGridOperator(BaseOperator):
    """Runs a grid on one row of inputs and returns what BitScale found.

    A run is submitted at most once per decision. Its id is kept in the task's state store before anything
    waits, so that a retry goes on with the run that was paid for, whatever became of the worker. A retry
    submits again only where BitScale itself reported the run as failed, or where the inputs have changed;
    clearing a task that had succeeded runs it again, too.

    :param grid_id: id of the grid. (templated)
    :param inputs: values by column name or id. A template that comes to ``None`` is refused, as is a required
        input of blanks, or none with a value. (templated; values that come through XCom are data, and are not
        rendered again)
    :param output_columns: names or ids of the columns wanted; None for all. (templated)
    :param mode: ``async``, or ``sync``: BitScale answers when the run has ended, and the worker waits for it.
        A sync run that is answered as running (workspace-key) is waited for like any other.
    :param webhook_url: public https URL where BitScale shall deliver the finished run; async only. If it is
        that of Airflow's receiver for this connection, a token is added to its query. Where the wait is
        deferred, the delivery is awaited: polls are rare until it comes. Deferred or not, where the answer to
        a submission is lost, it tells the run. (templated)
    :param trust_webhook: where the wait is deferred, take a delivery for the result, rather than poll once
        more.
    :param wait_for_completion: False to return the run's id and status at once, for a sensor to wait for, or
        for a DAG that its delivery starts; :class:`CollectUndeliveredOperator` tells of deliveries that are
        lost.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``. With ``sync`` under
        workspace-key only, where BitScale answers a run that takes long as running.
    :param poll_interval: seconds between polls, shortened by up to a tenth; longer where BitScale asks.
    :param timeout: seconds from submission until waiting ends; the run may go on, and a retry waits for it
        again. Airflow's ``execution_timeout`` ends a try, deferred or not, and a retry goes on with its run.
    :param min_credits: do not submit unless the workspace has at least this many credits.
    :param validate_inputs: check the inputs against the grid's columns before anything is paid for. Without
        it, names are still resolved, and a key that is not a name is taken for an id. Under workspace-key, a
        key that the run recipe does not list is always refused.
    :param miss_values: texts such as "No email found" that stand for nothing found; as outputs they become
        None, and count as missed.
    :param key_outputs_by: keys of the outputs in the result: ``name`` or ``id`` of the column. Columns that
        share a name are keyed by id.
    :param on_ambiguous_submit: what a retry does where an earlier try was lost between its request and the
        answer, so that it is not known whether a run was paid for: ``fail``, or ``resubmit`` and perhaps pay
        twice.
    :param bitscale_conn_id: id of a connection of type ``bitscale``. (templated)
    :return: ``{run_id, grid_id, status, outputs, filled_columns, missed_columns, credits: {consumed,
        remaining}, started_at, completed_at}``; just ``{run_id, grid_id, status}`` without
        ``wait_for_completion``, and for a sensor the XCom ``delivery_address`` where a delivery is awaited.
        Columns that BitScale calls inputs (v1.1.0) are not counted; ``credits`` and times are None where
        BitScale does not tell.
    """

    template_fields: Sequence[str] = (
        "grid_id",
        "inputs",
        "output_columns",
        "webhook_url",
        "bitscale_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json", "output_columns": "json"}
    operator_extra_links = (BitScaleResultLink(), BitScaleGridLink())
    ui_color = "#e8f0ff"

    def __init__(
        self,
        *,
        grid_id: str,
        inputs: dict[str, Any],
        output_columns: list[str] | None = None,
        mode: Mode = "async",
        webhook_url: str | None = None,
        trust_webhook: bool = False,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float | timedelta = 5,
        timeout: float | timedelta = 3600,
        min_credits: float | None = None,
        validate_inputs: bool = True,
        miss_values: Collection[str] = (),
        key_outputs_by: OutputKey = "name",
        on_ambiguous_submit: OnAmbiguousSubmit = "fail",
        bitscale_conn_id: str = "bitscale_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.grid_id = grid_id
        self.inputs = inputs
        self.output_columns = output_columns
        self.mode = mode
        self.webhook_url = webhook_url
        self.trust_webhook = trust_webhook
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval: float = seconds(poll_interval)
        self.timeout: float = seconds(timeout)
        self.min_credits = min_credits
        self.validate_inputs = validate_inputs
        self.miss_values = miss_values
        self.key_outputs_by = key_outputs_by
        self.on_ambiguous_submit = on_ambiguous_submit
        self.bitscale_conn_id = bitscale_conn_id
        self._given, self.templated_inputs = GivenArguments(arguments(self)), templated(inputs)
        self._run: RunWaiter | None = None
        refuse(
            self._request.problems(rendered=False)
            + option_problems(
                mode=mode,
                wait_for_completion=wait_for_completion,
                trust_webhook=trust_webhook,
                deferrable=deferrable,
                poll_interval=self.poll_interval,
                timeout=self.timeout,
                min_credits=min_credits,
                validate_inputs=validate_inputs,
                miss_values=miss_values,
                key_outputs_by=key_outputs_by,
                on_ambiguous_submit=on_ambiguous_submit,
            ),
            # Of an error while a DAG is imported, Airflow shows nothing else that leads there.
            of=f"task {self.task_id!r}: ",
        )
        if webhook_url is not None and not wait_for_completion:
            self.outlets = [*self.outlets, SUBMITTED_RUNS]
        # Only Airflow knows when a task has succeeded: what it returned may still fail to be stored.
        self.on_success_callback = [*self.on_success_callback, remember_success]

    @cached_property
    def hook(self) -> BitScaleHook:
        """The hook of this task's connection."""
        from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

        return BitScaleHook(self.bitscale_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit a run, or go on with the one an earlier try paid for, or that a person names."""
        with airflow_errors(self.bitscale_conn_id):
            refuse(self._given.problems(arguments(self)) or self._request.problems())
            run_records = run_records_of(context)
            config = self.hook.config
            fingerprint = self._request.fingerprint(config.base_url, config.workspace_id)
            if (run_id := run_records.run_to_adopt(try_of(context))) is not None:
                return self._adopt(context, run_id, fingerprint)
            record = run_records.read()
            if record is not None and record.lacks_id and record.fingerprint == fingerprint:
                record = run_records.delivered(record) or record
            step = next_step(
                record,
                fingerprint=fingerprint,
                this_try=try_of(context),
                resubmit_ambiguous=self.on_ambiguous_submit == "resubmit",
            )
            if isinstance(step, Ambiguous):
                return self._submitted(context, step.record).await_delivery(step.error)
            if isinstance(step, Attach):
                return self._attach(context, step.record)
            if (warning := step.warning(fingerprint)) is not None:
                self.log.warning(warning)
            return self._submit(context, fingerprint)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Return the trigger has an outcome: collect it."""
        with airflow_errors(self.bitscale_conn_id):
            outcome = Outcome.from_event(event)
            record = run_records_of(context).read()
            if record is not None:
                return self._submitted(context, record).resume(outcome)
            result = result_without_record(outcome, self.grid_id, self.miss_values)
            self.log.warning("The record of the run is gone; its outputs are keyed by column id")
            return result

    def on_kill(self) -> None:
        """Say what goes on: BitScale has no way to cancel a run."""
        if self._run is not None and self._run.in_flight:
            self.log.warning(
                "Killed. BitScale cannot cancel a run: %s goes on and is paid for. %s",
                self._run.in_flight,
                self._run.way_back,
            )

    def _submit(self, context: Context, fingerprint: str) -> dict[str, Any]:
        """Check everything, write down the intent, POST, go on with what was answered."""
        submission = Submission(self, context, fingerprint)
        inputs = submission.checked_inputs()
        webhook_url, delivery_key = submission.webhook()
        record = submission.record(delivery_key)
        intent = Intent(run_records_of(context), record)
        try:
            run = submission.send(inputs, webhook_url, intent)
        except errors.UnreadableAcceptanceError as error:
            return self._submitted(context, record).keep_unreadable(error)
        except errors.AmbiguousSubmitError as error:
            if self.on_ambiguous_submit == "resubmit":
                raise RetryableAmbiguousSubmitError(**error.fields()) from None
            if record.delivery_key is None:
                error.message += f". {RUN_RECOVERY}"
            return self._submitted(context, record).await_delivery(error)
        except errors.BitScaleError:
            intent.not_processed()
            raise
        return self._submitted(context, record).take_answer(run)

    def _adopt(self, context: Context, run_id: str, fingerprint: str) -> dict[str, Any]:
        """Go on with the run that a person names, whatever is recorded, if this grid has it."""
        seen = poll_once(self.hook.run_poller(self.grid_id, run_id))
        if (problem := refusal(seen, grid_id=self.grid_id, run_id=run_id)) is not None:
            raise problem
        record = Submission(self, context, fingerprint).record().submitted(run_id)
        run_records_of(context).adopted(record)
        self.log.info("Adopted run %s, as the key %r of the task's state store said", run_id, ADOPT_KEY)
        return self._attach(context, record)

    def _attach(self, context: Context, record: Record) -> dict[str, Any]:
        """Go on with a run that has been paid for."""
        if record.run_id is None:
            self.log.info("An earlier try has the result of its synchronous run; returning that")
            return record.result or {}
        self.log.info("Going on with run %s, which has been paid for", record.run_id)
        run_records, this_try = run_records_of(context), try_of(context)
        cleared = is_cleared(record.last_try, this_try, succeeded=False)
        late = record.deadline <= time.time()
        if cleared or late:
            deadline = time.time() + self.timeout if late else record.deadline
            record = replace(record, last_try=this_try, deadline=deadline)
            run_records.write(record)
        submitted = self._submitted(context, record)
        seen = submitted.poll()
        step = submitted.after(seen)
        if isinstance(step, Outcome) and step.kind == FAILED:
            if submitted.is_futile(step) and not cleared:
                return submitted.collect(step)
            self.log.info("BitScale reports run %s as failed; submitting anew", record.run_id)
            run_records.forget()
            return self._submit(context, record.fingerprint)
        return submitted.wait(seen)

    def _submitted(self, context: Context, record: Record) -> RunWaiter:
        # Kept for on_kill.
        self._run = RunWaiter(self, context, record)
        return self._run

    @property
    def _request(self) -> RunRequest:
        return RunRequest(self.grid_id, self.inputs, self.output_columns, self.mode, self.webhook_url)

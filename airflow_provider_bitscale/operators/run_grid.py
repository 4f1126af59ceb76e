"""Runs a grid on one row, and pays for it once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.links import BitScaleGridLink, BitScaleResultLink
from airflow_provider_bitscale.operators.hook_mixin import HookMixin
from airflow_provider_bitscale.operators.rendered import arguments, options_of, refuse
from airflow_provider_bitscale.runs.options import Mode, OnAmbiguousSubmit, OutputKey, RunOptions, seconds
from airflow_provider_bitscale.runs.undefined import GivenArguments, templated
from airflow_provider_bitscale.webhooks.submission_events import SUBMITTED_RUNS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.deferral import Deferral
    from airflow_provider_bitscale.operators.run_session import RunSession


class RunGridOperator(HookMixin, BaseOperator):
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
        for a DAG that its delivery starts; :class:`.CollectUndeliveredOperator` tells of deliveries that are
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
        self._session: RunSession | None = None
        refuse(options_of(RunOptions, self).problems(rendered=False), of=self)
        if webhook_url is not None and not wait_for_completion:
            self.outlets = [*self.outlets, SUBMITTED_RUNS]
        # Only Airflow knows when a task has succeeded: what it returned may still fail to be stored.
        self.on_success_callback = [*self.on_success_callback, _remember_success]

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit a run, or go on with the one an earlier try paid for, or that a person names."""
        with airflow_errors(self.bitscale_conn_id):
            refuse(self._given.problems(arguments(self)) or options_of(RunOptions, self).problems())
            return self._finish(self._begin(context).start())

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Collect the outcome that the trigger has found."""
        with airflow_errors(self.bitscale_conn_id):
            return self._finish(self._begin(context).resume(event))

    def on_kill(self) -> None:
        """Say what goes on: BitScale has no way to cancel a run."""
        if self._session is not None and (warning := self._session.kill_warning) is not None:
            self.log.warning(warning)

    def _begin(self, context: Context) -> RunSession:
        # A DAG file that is parsed does not pay for what its tasks need when they run.
        from airflow_provider_bitscale.operators.run_session import RunSession

        self._session = RunSession(options_of(RunOptions, self), self.hook, context)
        return self._session

    def _finish(self, result: dict[str, Any] | Deferral) -> dict[str, Any]:
        if isinstance(result, dict):
            return result
        return self.defer(trigger=result.trigger, method_name="execute_complete", timeout=result.timeout)


def _remember_success(context: Context) -> None:
    from airflow_provider_bitscale.operators.task_state import remember_success

    remember_success(context)

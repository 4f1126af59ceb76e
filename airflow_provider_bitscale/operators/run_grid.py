"""Runs a grid on one row, and pays for it once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import NEVER_EXPIRE, BaseOperator, conf  # type: ignore[attr-defined]

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.exceptions import RetryableAmbiguousSubmitError, airflow_errors
from airflow_provider_bitscale.links import BitScaleGridLink
from airflow_provider_bitscale.runs import ledger as ledgers
from airflow_provider_bitscale.runs.ledger import Ledger, Record
from airflow_provider_bitscale.runs.request import RunRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.api.models import Grid, Run
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
    from airflow_provider_bitscale.runs.polling import Outcome, RunDecision

# Airflow's own timeout of a deferral comes this much after the trigger's deadline: a backstop for a
# triggerer that is gone.
DEFERRAL_BACKSTOP = timedelta(minutes=2)


class RunGridOperator(BaseOperator):
    """Runs a grid on one row of inputs and returns what BitScale found.

    A run is submitted at most once per decision. Its id is kept in the task's state store before anything
    waits, so that a retry goes on with the run that was paid for, whatever became of the worker. A retry
    submits anew only where BitScale itself reported the run as failed, or where the inputs have changed;
    clearing a task that had succeeded runs it anew too.

    :param grid_id: id of the grid. (templated)
    :param inputs: values by column name or id. (templated; values that come through XCom are data, and are
        not rendered again)
    :param output_columns: names or ids of the columns wanted; None for all. (templated)
    :param mode: ``async``, or ``sync``: BitScale answers when the run has ended, and the worker waits for it.
    :param webhook_url: public https URL where BitScale shall deliver the finished run; async only.
        (templated)
    :param wait_for_completion: False to return the run's id and status at once, for a sensor to wait for.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``.
    :param poll_interval: seconds between polls, at most.
    :param timeout: seconds from submission until waiting ends; the run may go on, and a retry waits for it
        again.
    :param min_credits: do not submit unless the workspace has at least so many credits.
    :param validate_inputs: check the inputs against the grid's columns before anything is paid for.
    :param key_outputs_by: keys of the outputs in the result: ``name`` or ``id`` of the column. Columns that
        share a name are keyed by id.
    :param on_ambiguous_submit: what a retry does where an earlier try was lost between its request and the
        answer, so that nobody can tell whether a run was paid for: ``fail``, or ``resubmit`` and perhaps pay
        twice.
    :param bitscale_conn_id: id of a connection of type ``bitscale``. (templated)
    :return: ``{run_id, grid_id, status, outputs, credits: {consumed, remaining}, started_at, completed_at}``;
        just ``{run_id, grid_id, status}`` without ``wait_for_completion``.
    """

    template_fields: Sequence[str] = (
        "grid_id",
        "inputs",
        "output_columns",
        "webhook_url",
        "bitscale_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json", "output_columns": "json"}
    operator_extra_links = (BitScaleGridLink(),)
    ui_color = "#e8f0ff"

    def __init__(
        self,
        *,
        grid_id: str,
        inputs: dict[str, Any],
        output_columns: list[str] | None = None,
        mode: str = "async",
        webhook_url: str | None = None,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float = 5,
        timeout: float = 3600,
        min_credits: float | None = None,
        validate_inputs: bool = True,
        key_outputs_by: str = "name",
        on_ambiguous_submit: str = "fail",
        bitscale_conn_id: str = "bitscale_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.grid_id = grid_id
        self.inputs = inputs
        self.output_columns = output_columns
        self.mode = mode
        self.webhook_url = webhook_url
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.min_credits = min_credits
        self.validate_inputs = validate_inputs
        self.key_outputs_by = key_outputs_by
        self.on_ambiguous_submit = on_ambiguous_submit
        self.bitscale_conn_id = bitscale_conn_id
        self._refuse(self._request.problems(rendered=False) + self._option_problems())

    @cached_property
    def hook(self) -> BitScaleHook:
        """The hook of this task's connection."""
        from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

        return BitScaleHook(self.bitscale_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit a run, or go on with the one an earlier try paid for."""
        with airflow_errors():
            self._refuse(self._request.problems())
            ledger = self._ledger(context)
            config = self.hook.config
            step = ledgers.next_step(
                ledger.read(),
                fingerprint=(fingerprint := self._request.fingerprint(config.base_url, config.workspace_id)),
                generation=context["ti"].max_tries,
                resubmit_ambiguous=self.on_ambiguous_submit == "resubmit",
            )
            if isinstance(step, ledgers.Ambiguous):
                raise errors.AmbiguousSubmitError(
                    "an earlier try was lost between its request and the answer: a run may have been started "
                    "and paid for, or not. Look for it in BitScale. To submit again, set "
                    "on_ambiguous_submit='resubmit' and clear the task, or delete the key "
                    f"{ledgers.KEY!r} from the task's state store and clear it."
                )
            if isinstance(step, ledgers.Attach):
                return self._attach(context, step.record)
            if step.may_repeat:
                self.log.warning("An earlier try may have started and paid for a run; submitting one anew.")
            return self._submit(context, fingerprint)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """The trigger has an outcome: collect it."""
        from airflow_provider_bitscale.runs.polling import Outcome

        with airflow_errors():
            outcome = Outcome.from_event(event)
            record = self._ledger(context).read()
            if record is None:
                raise errors.TransportError(
                    f"the record of the run is gone; the trigger's answer was {event}"
                )
            return self._collect(context, record, outcome)

    def on_kill(self) -> None:
        """Say what goes on: BitScale has no way to cancel a run."""
        self.log.warning(
            "Killed. BitScale cannot cancel a run: one that was submitted goes on and is paid for. "
            "A retry of this task goes on with it."
        )

    def _submit(self, context: Context, fingerprint: str) -> dict[str, Any]:
        """Check everything, write down the intent, POST, write down the id, wait."""
        from airflow_provider_bitscale.runs import inputs

        by_id, output_columns, names = dict(self.inputs), self.output_columns, {}
        if self.validate_inputs or self.key_outputs_by == "name":
            grid: Grid = self.hook.get_grid(self.grid_id)
            by_id = inputs.resolve_inputs(grid, self.inputs, validate=self.validate_inputs)
            output_columns = inputs.resolve_output_columns(
                grid, self.output_columns, validate=self.validate_inputs
            )
            names = inputs.unique_names(grid) if self.key_outputs_by == "name" else {}
        self._check_credits()

        ledger = self._ledger(context)
        record = Record(
            phase=ledgers.INTENT,
            generation=context["ti"].max_tries,
            fingerprint=fingerprint,
            grid_id=self.grid_id,
            deadline=time.time() + self.timeout,
            column_names=names,
        )
        ledger.write(record)
        try:
            run = self.hook.run_grid(
                self.grid_id,
                by_id,
                mode=self.mode,
                output_columns=output_columns,
                webhook_url=self.webhook_url,
                timeout=self.timeout if self.mode == "sync" else None,
            )
        except errors.AmbiguousSubmitError as error:
            if self.on_ambiguous_submit == "resubmit":
                raise RetryableAmbiguousSubmitError(**error.fields()) from None
            raise
        except errors.BitScaleError:
            ledger.forget()
            raise
        if run.run_id is not None:
            self.log.info("BitScale accepted run %s of grid %s", run.run_id, self.grid_id)
            record = ledger.submitted(record, run.run_id)
            return self._wait(context, record, run)
        return self._collect_sync(context, record, run)

    def _attach(self, context: Context, record: Record) -> dict[str, Any]:
        """Go on with a run that has been paid for."""
        from airflow_provider_bitscale.runs.polling import FAILED, Outcome

        run_id = record.run_id
        if run_id is None:
            self.log.info("An earlier try has the result of its synchronous run; returning that")
            return record.result or {}
        self.log.info("Going on with run %s, which an earlier try submitted", run_id)
        if record.deadline <= time.time():
            record = ledgers.with_deadline(record, time.time() + self.timeout)
        seen: Run | errors.BitScaleError
        try:
            seen = self.hook.get_run(record.grid_id, run_id)
        except errors.BitScaleError as error:
            seen = error
        step = self._decision(record).after(seen, time.time(), 0.0)
        if isinstance(step, Outcome) and step.kind == FAILED:
            self.log.info("BitScale reports run %s as failed; submitting anew", run_id)
            self._ledger(context).forget()
            return self._submit(context, record.fingerprint)
        return self._wait(context, record, seen)

    def _wait(self, context: Context, record: Record, seen: Run | errors.BitScaleError) -> dict[str, Any]:
        """Wait for a run, here or in the triggerer, unless what was seen of it is enough."""
        from airflow_provider_bitscale.runs.polling import Outcome

        if not self.wait_for_completion:
            self._ledger(context).collected(record, context["ti"].max_tries)
            status = "unknown" if isinstance(seen, errors.BitScaleError) else seen.status.value
            return {"run_id": record.run_id, "grid_id": record.grid_id, "status": status}
        decision = self._decision(record)
        step = decision.after(seen, time.time(), 0.0)
        if isinstance(step, Outcome):
            return self._collect(context, record, step)
        if self._defers:
            self._defer(record)
        time.sleep(step.seconds)
        return self._collect(context, record, self.hook.watch_run(record.grid_id, decision))

    def _defer(self, record: Record) -> None:
        from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

        self.defer(
            trigger=RunCompletedTrigger(
                bitscale_conn_id=self.bitscale_conn_id,
                grid_id=record.grid_id,
                run_id=str(record.run_id),
                poll_interval=self.poll_interval,
                deadline=record.deadline,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=record.deadline - time.time()) + DEFERRAL_BACKSTOP,
        )

    def _collect(self, context: Context, record: Record, outcome: Outcome) -> dict[str, Any]:
        """Turn an outcome into the task's result, or its failure."""
        from airflow_provider_bitscale.hooks.bitscale import completed_run
        from airflow_provider_bitscale.runs.result import run_result

        ledger = self._ledger(context)
        try:
            run = completed_run(outcome, record.grid_id, str(record.run_id))
        except errors.RunFailedError:
            ledger.forget()
            raise
        result = run_result(
            run, grid_id=record.grid_id, run_id=record.run_id, column_names=record.column_names
        )
        ledger.collected(record, context["ti"].max_tries)
        return result

    def _collect_sync(self, context: Context, record: Record, run: Run) -> dict[str, Any]:
        """Take the answer of a synchronous run, which cannot be asked for again."""
        from airflow_provider_bitscale.api.models import RunStatus
        from airflow_provider_bitscale.runs.result import run_result

        ledger = self._ledger(context)
        if run.status is RunStatus.FAILED:
            ledger.forget()
            raise errors.RunFailedError(f"the run of grid {self.grid_id} failed: {run.error}")
        if run.status is not RunStatus.COMPLETED:
            raise errors.AmbiguousSubmitError(
                f"the synchronous run of grid {self.grid_id} was answered with status {run.raw['status']!r} "
                "and no run id"
            )
        result = run_result(run, grid_id=self.grid_id, run_id=None, column_names=record.column_names)
        ledger.collected(record, context["ti"].max_tries, result)
        return result

    def _check_credits(self) -> None:
        if self.min_credits is None:
            return
        remaining = self.hook.get_credits().remaining
        if remaining is None:
            raise errors.TransportError("BitScale does not say how many credits are left; min_credits is set")
        if remaining < self.min_credits:
            raise errors.InsufficientCreditsError(
                f"{remaining:,} credits are left, min_credits is {self.min_credits:,}; nothing was submitted"
            )

    @property
    def _request(self) -> RunRequest:
        return RunRequest(self.grid_id, self.inputs, self.output_columns, self.mode, self.webhook_url)

    @property
    def _defers(self) -> bool:
        if self.deferrable is None:
            return conf.getboolean("operators", "default_deferrable", fallback=False)
        return self.deferrable

    def _decision(self, record: Record) -> RunDecision:
        from airflow_provider_bitscale.runs.polling import RunDecision

        return RunDecision(record.deadline, self.poll_interval, str(record.run_id))

    def _ledger(self, context: Context) -> Ledger:
        return Ledger(_Lasting(context["task_state_store"]))

    def _option_problems(self) -> list[str]:
        problems = []
        if self.deferrable and self.mode == "sync":
            problems.append("deferrable=True goes with mode='async' only: a sync run is answered directly")
        if not self.wait_for_completion and self.mode == "sync":
            problems.append("wait_for_completion=False goes with mode='async' only")
        if self.min_credits is not None and self.min_credits < 0:
            problems.append(f"min_credits must not be negative: {self.min_credits!r}")
        if self.poll_interval <= 0 or self.timeout <= 0:
            problems.append("poll_interval and timeout must be above 0")
        if self.key_outputs_by not in ("name", "id"):
            problems.append(f"key_outputs_by must be name or id, not {self.key_outputs_by!r}")
        if self.on_ambiguous_submit not in ("fail", "resubmit"):
            problems.append(f"on_ambiguous_submit must be fail or resubmit, not {self.on_ambiguous_submit!r}")
        return problems

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            with airflow_errors():
                raise errors.InvalidRequestError("; ".join(problems))


class _Lasting:
    """Airflow's task state store, with values that stay as long as the DAG run does."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        return self._store.get(key)

    def set(self, key: str, value: Any) -> None:
        self._store.set(key, value, retention=NEVER_EXPIRE)

    def delete(self, key: str) -> None:
        self._store.delete(key)

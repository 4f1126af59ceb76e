"""Waits for a run that was started elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.errors import BitScaleError, RunFailedError
from airflow_provider_bitscale.exceptions import AwaitedRunFailedError, InvalidRequestError
from airflow_provider_bitscale.links import BitScaleGridLink
from airflow_provider_bitscale.runs.polling import Outcome, RunDecision, Wait
from airflow_provider_bitscale.sensors.outcome import OutcomeSensor

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.models import Run
    from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger


class RunCompletedSensor(OutcomeSensor):
    """Succeeds when a run has completed; its XCom is the same as that of :class:`RunGridOperator`.

    A run that BitScale reports as failed fails the task without retries, since waiting again is of no use; a
    poll that does not get through does not.

    :param grid_id: id of the run's grid.
    :param run_id: id of the run, such as ``"{{ ti.xcom_pull('submit')['run_id'] }}"``.
    :param key_outputs_by: keys of the outputs in the XCom: ``name`` or ``id`` of the column.
    :param poke_interval: seconds between polls, in every mode.
    :param bitscale_conn_id: id of a connection of type ``bitscale``.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = ("grid_id", "run_id", "bitscale_conn_id")
    operator_extra_links = (BitScaleGridLink(),)

    def __init__(
        self,
        *,
        grid_id: str,
        run_id: str,
        key_outputs_by: str = "name",
        poke_interval: float = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.grid_id = grid_id
        self.run_id = run_id
        self.key_outputs_by = key_outputs_by
        if key_outputs_by not in ("name", "id"):
            raise InvalidRequestError(f"key_outputs_by must be name or id, not {key_outputs_by!r}")

    def look(self, deadline: float) -> Wait | Outcome:
        """Poll once."""
        try:
            seen: Run | BitScaleError = self.hook.get_run(self.grid_id, self.run_id)
        except BitScaleError as error:
            seen = error
        return self._decision(deadline).after(seen, time.time(), 0.0)

    def trigger(self, deadline: float) -> RunCompletedTrigger:
        """The trigger that polls on."""
        from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

        return RunCompletedTrigger(
            bitscale_conn_id=self.bitscale_conn_id,
            grid_id=self.grid_id,
            run_id=self.run_id,
            poll_interval=self.poke_interval,
            deadline=deadline,
        )

    def value(self, outcome: Outcome) -> dict[str, Any]:
        """The result of the run."""
        from airflow_provider_bitscale.hooks.bitscale import completed_run
        from airflow_provider_bitscale.runs.inputs import unique_names
        from airflow_provider_bitscale.runs.result import run_result

        try:
            run = completed_run(outcome, self.grid_id, self.run_id)
        except RunFailedError as error:
            raise AwaitedRunFailedError(**error.fields()) from None
        names = unique_names(self.hook.get_grid(self.grid_id)) if self.key_outputs_by == "name" else {}
        return run_result(run, grid_id=self.grid_id, run_id=self.run_id, column_names=names)

    def _decision(self, deadline: float) -> RunDecision:
        return RunDecision(deadline, self.poke_interval, self.run_id)

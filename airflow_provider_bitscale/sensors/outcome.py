"""What both sensors share: one poll, one decision, in every mode."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_bitscale.deferral import Bounds, defers, raise_if_try_ended
from airflow_provider_bitscale.exceptions import as_airflow
from airflow_provider_bitscale.operators.hook_mixin import HookMixin
from airflow_provider_bitscale.operators.rendered import arguments, refuse
from airflow_provider_bitscale.runs.options import option_problems
from airflow_provider_bitscale.runs.outcome import COMPLETED, REFUSED, TIMED_OUT, Outcome
from airflow_provider_bitscale.runs.undefined import GivenArguments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.sensors.awaited import Awaited


class OutcomeSensor(HookMixin, BaseSensorOperator):
    """Waits for an outcome by poking, by being rescheduled, or in the triggerer; all end alike."""

    def __init__(self, *, bitscale_conn_id: str, deferrable: bool | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bitscale_conn_id = bitscale_conn_id
        self.deferrable = deferrable

    def _check(self, **options: Any) -> None:
        """Check the options, once a sensor has taken them, and name every problem at once."""
        # What the author gave, which no template may have lost.
        self._given = GivenArguments(arguments(self))
        refuse(option_problems(deferrable=self.deferrable, **options), of=self)

    @property
    @abstractmethod
    def awaited(self) -> Awaited:
        """What this process waits for."""

    def execute(self, context: Context) -> Any:
        """Wait, in the way chosen."""
        refuse(self._given.problems(arguments(self)))
        if not defers(self.deferrable):
            return super().execute(context)
        bounds = Bounds.of(context, time.time() + self.timeout, self.execution_timeout)
        step = self.awaited.poll(bounds.deadline)
        # Everything but success is left to the trigger, so that soft_fail has one place to act.
        if isinstance(step, Outcome) and step.kind == COMPLETED:
            return self._finish(step)
        return self.defer(
            trigger=self.awaited.trigger(bounds), method_name="execute_complete", timeout=bounds.backstop
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll once; the sensor's own clock decides when it is too late."""
        step = self.awaited.poll(float("inf"))
        return PokeReturnValue(True, self._finish(step)) if isinstance(step, Outcome) else False

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Take the outcome that the trigger has found."""
        return self._finish(Outcome.from_event(event))

    def _finish(self, outcome: Outcome) -> Any:
        try:
            raise_if_try_ended(outcome, f"what {self.task_id!r} waits for")
            if outcome.kind == TIMED_OUT:
                status = outcome.error or (outcome.data or {}).get("status") or outcome.data
                raise AirflowSensorTimeout(f"Not there within {self.timeout:g} s; last seen: {status}")
            if outcome.kind == REFUSED and outcome.error is not None:
                raise as_airflow(outcome.error, self.bitscale_conn_id)
            return self.awaited.value(outcome)
        except (AirflowException, AirflowTaskTimeout) as error:
            # Airflow skips for most failures after a deferral, but only for some while poking.
            if self.soft_fail:
                raise AirflowSkipException("Skipping due to soft_fail is set to True.") from error
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

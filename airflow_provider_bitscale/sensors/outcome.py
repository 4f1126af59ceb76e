"""What both sensors share: one poll, one decision, in every mode."""

from __future__ import annotations

import time
from abc import abstractmethod
from functools import cached_property
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
from airflow_provider_bitscale.operators.rendered import arguments, refuse
from airflow_provider_bitscale.runs.polling import COMPLETED, REFUSED, TIMED_OUT, Outcome, Wait
from airflow_provider_bitscale.runs.sights import Sights
from airflow_provider_bitscale.runs.undefined import GivenArguments

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook


class OutcomeSensor(BaseSensorOperator):
    """Waits for an outcome by poking, by being rescheduled, or in the triggerer; all end alike.

    :param bitscale_conn_id: id of a connection of type ``bitscale``.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``.
    """

    # What the author gave, which no template may have lost.
    _given: GivenArguments

    def __init__(
        self,
        *,
        bitscale_conn_id: str,
        deferrable: bool | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bitscale_conn_id = bitscale_conn_id
        self.deferrable = deferrable
        # What this process has seen: a sensor that is rescheduled begins with nothing.
        self._sights = Sights()

    @cached_property
    def hook(self) -> BitScaleHook:
        """The hook of this task's connection."""
        from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

        return BitScaleHook(self.bitscale_conn_id)

    @abstractmethod
    def poll(self, deadline: float) -> Wait | Outcome:
        """Poll once, and decide."""

    def lasting(self, seen: object) -> float:
        """Seconds for which the polls of this process have shown the same."""
        return self._sights.lasting(seen, time.time())

    @abstractmethod
    def trigger(self, bounds: Bounds) -> BaseTrigger:
        """Return the trigger that goes on looking."""

    @abstractmethod
    def value(self, outcome: Outcome) -> Any:
        """Return the XCom of an outcome, or the error it stands for."""

    def execute(self, context: Context) -> Any:
        """Wait, in the way chosen."""
        refuse(self._given.problems(arguments(self)))
        if not defers(self.deferrable):
            return super().execute(context)
        bounds = Bounds.of(self, context, time.time() + self.timeout)
        step = self.poll(bounds.deadline)
        # Everything but success is left to the trigger, so that soft_fail has one place to act.
        if isinstance(step, Outcome) and step.kind == COMPLETED:
            return self._finish(step)
        return self.defer(
            trigger=self.trigger(bounds), method_name="execute_complete", timeout=bounds.backstop
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once; the sensor's own clock decides when it is too late."""
        step = self.poll(float("inf"))
        return False if isinstance(step, Wait) else PokeReturnValue(True, self._finish(step))

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Return the trigger has an outcome."""
        return self._finish(Outcome.from_event(event))

    def _finish(self, outcome: Outcome) -> Any:
        try:
            raise_if_try_ended(outcome, f"what {self.task_id!r} waits for")
            if outcome.kind == TIMED_OUT:
                status = outcome.error or (outcome.data or {}).get("status") or outcome.data
                raise AirflowSensorTimeout(f"Not there within {self.timeout:g} s; last seen: {status}")
            if outcome.kind == REFUSED and outcome.error is not None:
                raise as_airflow(outcome.error, self.bitscale_conn_id)
            return self.value(outcome)
        except (AirflowException, AirflowTaskTimeout) as error:
            # Airflow skips for most failures after a deferral, but only for some while poking.
            if self.soft_fail:
                raise AirflowSkipException("Skipping due to soft_fail is set to True.") from error
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

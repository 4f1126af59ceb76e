"""What the operator and the sensors share about waiting in the triggerer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_bitscale.runs.outcome import EXECUTION_TIMED_OUT, TIMED_OUT, Outcome

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

_BACKSTOP = timedelta(minutes=2)


@dataclass(frozen=True)
class Deferral:
    """What a task defers on.

    :param timeout: after which Airflow itself ends the deferral.
    """

    trigger: BaseTrigger
    timeout: timedelta


def defers(deferrable: bool | None) -> bool:
    """Whether a task waits in the triggerer; None follows ``[operators] default_deferrable``."""
    if deferrable is None:
        return conf.getboolean("operators", "default_deferrable", fallback=False)
    return deferrable


@dataclass(frozen=True)
class Bounds:
    """When a deferred wait ends: Airflow itself does not apply ``execution_timeout`` to it.

    :param deadline: of the wait, in Unix seconds.
    :param give_up_at: when ``execution_timeout`` ends the try, in Unix seconds; None if the task has none.
    """

    deadline: float
    give_up_at: float | None = None

    @classmethod
    def of(cls, context: Context, deadline: float, execution_timeout: timedelta | None) -> Bounds:
        """Return the bounds of a wait in this try of a task."""
        if execution_timeout is None:
            return cls(deadline)
        # Airflow keeps the start of a try over its deferrals; each retry has a start of its own.
        started = getattr(context["ti"], "start_date", None)
        begin = time.time() if started is None else started.timestamp()
        return cls(deadline, begin + execution_timeout.total_seconds())

    @property
    def end(self) -> float:
        """Unix seconds after which one last poll decides."""
        return self.deadline if self.give_up_at is None else min(self.deadline, self.give_up_at)

    @property
    def backstop(self) -> timedelta:
        """Airflow's own timeout of the deferral: later than the trigger's, for a triggerer that is gone."""
        return timedelta(seconds=max(0.0, self.end - time.time())) + _BACKSTOP

    def name_end(self, outcome: Outcome) -> Outcome:
        """Return the outcome, with its own word if the try ended before the deadline."""
        if outcome.kind == TIMED_OUT and self.give_up_at is not None and self.give_up_at <= self.deadline:
            return replace(outcome, kind=EXECUTION_TIMED_OUT)
        return outcome


def raise_if_try_ended(outcome: Outcome, waited_for: str) -> None:
    """End the try as Airflow ends one that takes too long in a worker.

    :raises AirflowTaskTimeout: ``execution_timeout`` has ended the wait. A retry goes on with it.
    """
    if outcome.kind == EXECUTION_TIMED_OUT:
        seen = outcome.error or (outcome.data or {}).get("status") or outcome.data or "nothing"
        raise AirflowTaskTimeout(f"execution_timeout ended the wait for {waited_for}; last seen: {seen}")

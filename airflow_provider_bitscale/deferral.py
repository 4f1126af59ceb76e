"""What operator and sensors share about waiting in the triggerer."""

from __future__ import annotations

import time
from datetime import timedelta

from airflow.sdk import conf

_BACKSTOP = timedelta(minutes=2)


def defers(deferrable: bool | None) -> bool:
    """Whether a task waits in the triggerer; None follows ``[operators] default_deferrable``."""
    if deferrable is None:
        return conf.getboolean("operators", "default_deferrable", fallback=False)
    return deferrable


def backstop(deadline: float) -> timedelta:
    """Airflow's own timeout of a deferral: after the trigger's deadline, for a triggerer that is gone."""
    return timedelta(seconds=max(0.0, deadline - time.time())) + _BACKSTOP

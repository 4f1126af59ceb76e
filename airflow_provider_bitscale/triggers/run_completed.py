"""Waits in the triggerer until a run has ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.runs.polling import REFUSED, Outcome, RunDecision
from airflow_provider_bitscale.triggers.shared_hook import shared_hook


class RunCompletedTrigger(BaseTrigger):
    """Polls a run until it has ended, the deadline is reached, or BitScale refuses to tell.

    Yields one event, the JSON of :meth:`airflow_provider_bitscale.runs.polling.Outcome.to_event`. Only reads:
    it may run twice at once, and be restarted at any time, without harm.

    :param bitscale_conn_id: id of the connection; credentials never stand in a trigger's row.
    :param grid_id: id of the run's grid.
    :param run_id: id of the run.
    :param poll_interval: seconds between polls, shortened by up to a tenth; longer where BitScale asks.
    :param deadline: Unix seconds after which one last poll decides; a restart does not move it.
    """

    def __init__(
        self, *, bitscale_conn_id: str, grid_id: str, run_id: str, poll_interval: float, deadline: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bitscale_conn_id = bitscale_conn_id
        self.grid_id = grid_id
        self.run_id = run_id
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and arguments to build this trigger anew; JSON only, and no secret among them."""
        return (
            "airflow_provider_bitscale.triggers.run_completed.RunCompletedTrigger",
            {
                "bitscale_conn_id": self.bitscale_conn_id,
                "grid_id": self.grid_id,
                "run_id": self.run_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an outcome, and yield it."""
        await asyncio.sleep(first_pause(self.poll_interval, self.deadline))
        decision = RunDecision(self.deadline, self.poll_interval, self.run_id)
        hook = shared_hook(self.bitscale_conn_id)
        try:
            outcome = await hook.awatch_run(self.grid_id, decision)
        except BitScaleError as error:
            outcome = Outcome(REFUSED, error=error)
        yield TriggerEvent(outcome.to_event())

    async def on_kill(self) -> None:
        """Say what goes on: BitScale has no way to cancel a run."""
        self.log.warning(
            "No longer waiting for run %s of grid %s. BitScale cannot cancel it: it goes on and is paid for.",
            self.run_id,
            self.grid_id,
        )


def first_pause(poll_interval: float, deadline: float) -> float:
    """Seconds before the first look.

    Spread, so that many triggers started together do not poll together; and not at once, since the scheduler
    may still be busy with the part of the task that deferred.
    """
    return max(0.0, min(poll_interval * random.uniform(0.5, 1.0), deadline - time.time()))  # noqa: S311

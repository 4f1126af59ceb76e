"""What both triggers share: they poll until there is an outcome, and yield it as their one event."""

from __future__ import annotations

import asyncio
import random
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from inspect import signature
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.deferral import Bounds
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.outcome import REFUSED, Outcome
from airflow_provider_bitscale.triggers.shared_hook import shared_hook


class OutcomeTrigger(BaseTrigger):
    """Yields the JSON of an outcome, see ``runs.outcome``.

    Only reads: it may run twice at once, and be restarted at any time, without harm.

    :param bitscale_conn_id: id of the connection; credentials never stand in a trigger's row.
    :param poll_interval: seconds between polls, shortened by up to a tenth; longer where BitScale asks.
    :param deadline: Unix seconds after which one last poll decides; a restart does not move it.
    :param give_up_at: Unix seconds at which the waiting task's ``execution_timeout`` ends its try, None if it
        has none; unless the deadline is earlier, the event says so.
    """

    def __init__(
        self, bitscale_conn_id: str, poll_interval: float, deadline: float, give_up_at: float | None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bitscale_conn_id = bitscale_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that rebuild this trigger: JSON, without secrets."""
        kind = type(self)
        arguments = {name: getattr(self, name) for name in signature(kind).parameters}
        return f"{kind.__module__}.{kind.__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an outcome, and yield it."""
        await asyncio.sleep(_first_pause(self._first_interval, self.deadline))
        try:
            outcome = await self._outcome(shared_hook(self.bitscale_conn_id))
        except BitScaleError as error:
            outcome = Outcome(REFUSED, error=error)
        outcome = Bounds(self.deadline, self.give_up_at).name_end(outcome)
        yield TriggerEvent(outcome.to_event())

    @property
    def _first_interval(self) -> float:
        return self.poll_interval

    @abstractmethod
    async def _outcome(self, hook: BitScaleHook) -> Outcome: ...


def _first_pause(interval: float, deadline: float) -> float:
    # Spread, so that many triggers started together do not poll together; and not at once, since the
    # scheduler may still be busy with the part of the task that deferred.
    return max(0.0, min(interval * random.uniform(0.5, 1.0), deadline - time.time()))  # noqa: S311

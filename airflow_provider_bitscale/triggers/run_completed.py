"""Waits in the triggerer until a run has ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.deferral import Bounds
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.outcome import REFUSED, TIMED_OUT, Outcome
from airflow_provider_bitscale.runs.polling import (
    LISTEN_SECONDS,
    NO_WAIT,
    SELDOM_SECONDS,
    HintedRunDecision,
    RunDecision,
    Wait,
)
from airflow_provider_bitscale.triggers.awaited_delivery import AwaitedDelivery
from airflow_provider_bitscale.triggers.shared_hook import shared_hook


class RunCompletedTrigger(BaseTrigger):
    """Polls a run until it has ended, the deadline is reached, or BitScale refuses to tell.

    Yields one event, the JSON of :meth:`airflow_provider_bitscale.runs.outcome.Outcome.to_event`. Only reads:
    it may run twice at once, and be restarted at any time, without harm.

    :param bitscale_conn_id: id of the connection; credentials never stand in a trigger's row.
    :param grid_id: id of the run's grid.
    :param run_id: id of the run; None where only its delivery can tell.
    :param poll_interval: seconds between polls, shortened by up to a tenth; longer where BitScale asks.
    :param deadline: Unix seconds after which one last poll decides; a restart does not move it.
    :param give_up_at: Unix seconds at which the waiting task's ``execution_timeout`` ends its try, None if it
        has none; unless the deadline is earlier, the event says so.
    :param delivery_address: where the run's webhook delivery will be, as
        :class:`~airflow_provider_bitscale.operators.run_grid.RunGridOperator` pushes it; None if none is
        expected. Until it comes, polls are rare.
    :param trust_webhook: take the delivery for the result, rather than poll once more.
    """

    def __init__(
        self,
        *,
        bitscale_conn_id: str,
        grid_id: str,
        run_id: str | None,
        poll_interval: float,
        deadline: float,
        give_up_at: float | None = None,
        delivery_address: dict[str, Any] | None = None,
        trust_webhook: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bitscale_conn_id = bitscale_conn_id
        self.grid_id = grid_id
        self.run_id = run_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.give_up_at = give_up_at
        self.delivery_address = delivery_address
        self.trust_webhook = trust_webhook

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that rebuild this trigger: JSON, without secrets."""
        return (
            "airflow_provider_bitscale.triggers.run_completed.RunCompletedTrigger",
            {
                "bitscale_conn_id": self.bitscale_conn_id,
                "grid_id": self.grid_id,
                "run_id": self.run_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "give_up_at": self.give_up_at,
                "delivery_address": self.delivery_address,
                "trust_webhook": self.trust_webhook,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an outcome, and yield it."""
        # A delivery may be there already, and is not to wait for the time of a poll.
        pause = (
            self.poll_interval if self.delivery_address is None else min(self.poll_interval, LISTEN_SECONDS)
        )
        await asyncio.sleep(first_pause(pause, self.deadline))
        hook = shared_hook(self.bitscale_conn_id)
        try:
            if self.delivery_address is None:
                decision = RunDecision(self.deadline, self.poll_interval, str(self.run_id))
                # The key was good when the run was submitted: one refusal may be a hiccup.
                outcome = await hook.awatch_run(self.grid_id, decision, NO_WAIT)
            else:
                async with AwaitedDelivery(self.delivery_address).listening() as awaited:
                    outcome = await self._await_delivery(hook, awaited)
        except BitScaleError as error:
            outcome = Outcome(REFUSED, error=error)
        outcome = Bounds(self.deadline, self.give_up_at).name_end(outcome)
        yield TriggerEvent(outcome.to_event())

    async def _await_delivery(self, hook: BitScaleHook, awaited: AwaitedDelivery) -> Outcome:
        """Wait for the delivery, and poll now and then in case that none comes."""
        run_id = self.run_id
        if run_id is None:
            payload = await awaited.payload_by(self.deadline)
            if payload is None:
                return Outcome(TIMED_OUT)
            run_id = str(payload["run_id"])
        often = RunDecision(self.deadline, self.poll_interval, run_id)
        seldom = RunDecision(self.deadline, max(self.poll_interval, SELDOM_SECONDS), run_id)
        hint = asyncio.Event() if self.trust_webhook else awaited.arrived
        first = Wait(max(0.0, min(seldom.poll_interval, self.deadline - time.time())))
        watching = asyncio.ensure_future(
            hook.awatch_run(self.grid_id, HintedRunDecision(seldom, often, hint), first)
        )
        try:
            if self.trust_webhook:
                payload = await awaited.payload_by(self.deadline, unless=watching)
                if payload is not None and payload.get("run_id") == run_id:
                    step = often.after(parse_run(payload), time.time(), 0.0)
                    if isinstance(step, Outcome):
                        return step
                # It was about another run, or did not come in time.
                hint.set()
            return await watching
        finally:
            watching.cancel()

    async def on_kill(self) -> None:
        """Say what goes on: BitScale has no way to cancel a run."""
        self.log.warning(
            "No longer waiting for run %s of grid %s. BitScale cannot cancel it: it goes on and is paid for.",
            self.run_id,
            self.grid_id,
        )


def first_pause(poll_interval: float, deadline: float) -> float:
    """Seconds before the first poll.

    Spread, so that many triggers started together do not poll together; and not at once, since the scheduler
    may still be busy with the part of the task that deferred.
    """
    return max(0.0, min(poll_interval * random.uniform(0.5, 1.0), deadline - time.time()))  # noqa: S311

"""Waits in the triggerer until a run has ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs import polling
from airflow_provider_bitscale.runs.outcome import TIMED_OUT, Outcome
from airflow_provider_bitscale.triggers.awaited_delivery import AwaitedDelivery
from airflow_provider_bitscale.triggers.outcome import OutcomeTrigger


class RunCompletedTrigger(OutcomeTrigger):
    """Polls a run until it has ended, the deadline is reached, or BitScale refuses to tell.

    :param grid_id: id of the run's grid.
    :param run_id: id of the run; None where only its delivery can tell.
    :param delivery_address: where the run's webhook delivery will be, as
        :class:`~airflow_provider_bitscale.operators.run_grid.RunGridOperator` pushes it; None if none is
        expected. Until it comes, polls are rare.
    :param trust_webhook: take the delivery for the result, rather than poll once more.
    :param submitted_at: when the run was submitted, in Unix seconds, to poll it first when it has probably
        ended; None if that is not known.

    The other parameters are those of :class:`.OutcomeTrigger`.
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
        submitted_at: float | None = None,
    ) -> None:
        super().__init__(bitscale_conn_id, poll_interval, deadline, give_up_at)
        self.grid_id = grid_id
        self.run_id = run_id
        self.delivery_address = delivery_address
        self.trust_webhook = trust_webhook
        self.submitted_at = submitted_at

    @property
    def _first_interval(self) -> float:
        # A delivery may be there already, and is not to wait for the time of a poll; nor is one that is
        # planned. After a restart of the triggerer, many are overdue at once.
        planned = self.submitted_at is not None and time.time() < self.submitted_at + polling.SELDOM_SECONDS
        soon = planned or self.delivery_address is not None
        return min(self.poll_interval, polling.LISTEN_SECONDS) if soon else self.poll_interval

    async def _outcome(self, hook: BitScaleHook) -> Outcome:
        if self.delivery_address is None:
            decision = polling.RunDecision(self.deadline, self.poll_interval, str(self.run_id))
            # The key was good when the run was submitted: one refusal may be a hiccup.
            return await hook.awatch_run(
                self.grid_id, decision, polling.NO_WAIT, submitted_at=self.submitted_at
            )
        async with AwaitedDelivery(self.delivery_address).listening() as awaited:
            return await self._await_delivery(hook, awaited)

    async def _await_delivery(self, hook: BitScaleHook, awaited: AwaitedDelivery) -> Outcome:
        """Wait for the delivery, and poll now and then in case that none comes."""
        run_id = self.run_id
        if run_id is None:
            payload = await awaited.payload_by(self.deadline)
            if payload is None:
                return Outcome(TIMED_OUT)
            run_id = str(payload["run_id"])
        often = polling.RunDecision(self.deadline, self.poll_interval, run_id)
        seldom = polling.RunDecision(self.deadline, max(self.poll_interval, polling.SELDOM_SECONDS), run_id)
        hint = asyncio.Event() if self.trust_webhook else awaited.arrived
        first = polling.Wait(max(0.0, min(seldom.poll_interval, self.deadline - time.time())))
        watching = asyncio.ensure_future(
            hook.awatch_run(self.grid_id, polling.HintedRunDecision(seldom, often, hint), first)
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

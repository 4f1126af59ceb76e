"""Waits in the triggerer until a workspace has enough credits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.deferral import Bounds
from airflow_provider_bitscale.runs.outcome import REFUSED, Outcome
from airflow_provider_bitscale.runs.polling import CreditsDecision
from airflow_provider_bitscale.triggers.run_completed import first_pause
from airflow_provider_bitscale.triggers.shared_hook import shared_hook


class CreditsTrigger(BaseTrigger):
    """Polls a workspace until ``credits.remaining >= min_credits``, or the deadline is reached.

    Yields one event, as :class:`RunCompletedTrigger` does.

    :param bitscale_conn_id: id of the connection.
    :param workspace_id: the workspace; None for the connection's.
    :param min_credits: credits to wait for.
    :param poll_interval: seconds between polls, shortened by up to a tenth; longer where BitScale asks.
    :param deadline: Unix seconds after which one last poll decides.
    :param give_up_at: Unix seconds at which the waiting task's ``execution_timeout`` ends its try, None if it
        has none; unless the deadline is earlier, the event says so.
    """

    def __init__(
        self,
        *,
        bitscale_conn_id: str,
        workspace_id: str | None,
        min_credits: float,
        poll_interval: float,
        deadline: float,
        give_up_at: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bitscale_conn_id = bitscale_conn_id
        self.workspace_id = workspace_id
        self.min_credits = min_credits
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that rebuild this trigger: JSON, without secrets."""
        return (
            "airflow_provider_bitscale.triggers.credits.CreditsTrigger",
            {
                "bitscale_conn_id": self.bitscale_conn_id,
                "workspace_id": self.workspace_id,
                "min_credits": self.min_credits,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "give_up_at": self.give_up_at,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an outcome, and yield it."""
        await asyncio.sleep(first_pause(self.poll_interval, self.deadline))
        decision = CreditsDecision(self.deadline, self.poll_interval, self.min_credits)
        hook = shared_hook(self.bitscale_conn_id)
        try:
            outcome = await hook.awatch_credits(self.workspace_id, decision)
        except BitScaleError as error:
            outcome = Outcome(REFUSED, error=error)
        outcome = Bounds(self.deadline, self.give_up_at).name_end(outcome)
        yield TriggerEvent(outcome.to_event())

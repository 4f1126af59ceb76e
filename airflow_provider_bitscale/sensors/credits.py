"""Waits until there are enough credits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.exceptions import InvalidRequestError
from airflow_provider_bitscale.operators.rendered import arguments
from airflow_provider_bitscale.runs.options import option_problems
from airflow_provider_bitscale.runs.polling import CreditsDecision, Outcome, Wait, poll_once
from airflow_provider_bitscale.runs.undefined import GivenArguments
from airflow_provider_bitscale.sensors.outcome import OutcomeSensor

if TYPE_CHECKING:
    from airflow_provider_bitscale.deferral import Bounds
    from airflow_provider_bitscale.triggers.credits import CreditsTrigger


class CreditsSensor(OutcomeSensor):
    """Succeeds once ``credits.remaining >= min_credits``; its XCom is ``{total, used, remaining}`` as seen.

    :param min_credits: credits to wait for.
    :param workspace_id: the workspace; None for the connection's.
    :param bitscale_conn_id: id of a connection of type ``bitscale``.
    :param deferrable: wait in the triggerer; None for ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = ("workspace_id", "bitscale_conn_id")

    def __init__(
        self,
        *,
        min_credits: float,
        workspace_id: str | None = None,
        bitscale_conn_id: str = "bitscale_default",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(bitscale_conn_id=bitscale_conn_id, deferrable=deferrable, **kwargs)
        self.min_credits = min_credits
        self.workspace_id = workspace_id
        self._given = GivenArguments(arguments(self))
        if problems := option_problems(min_credits=min_credits, deferrable=self.deferrable):
            raise InvalidRequestError(f"task {self.task_id!r}: {'; '.join(problems)}")

    def poll(self, deadline: float) -> Wait | Outcome:
        """Ask for the workspace once."""
        seen = poll_once(self.hook.credits_poller(self.workspace_id))
        decision = CreditsDecision(deadline, self.poke_interval, self.min_credits)
        self.log.info("%s", decision.describe(seen))
        return decision.after(seen, time.time(), 0.0, self.lasting(seen))

    def trigger(self, bounds: Bounds) -> CreditsTrigger:
        """Return the trigger that asks on."""
        from airflow_provider_bitscale.triggers.credits import CreditsTrigger

        return CreditsTrigger(
            bitscale_conn_id=self.bitscale_conn_id,
            workspace_id=self.workspace_id,
            min_credits=self.min_credits,
            poll_interval=self.poke_interval,
            deadline=bounds.end,
            give_up_at=bounds.give_up_at,
        )

    def value(self, outcome: Outcome) -> dict[str, Any] | None:
        """Return the credits seen."""
        return outcome.data

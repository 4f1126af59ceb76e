"""Waits in the triggerer until a workspace has enough credits."""

from __future__ import annotations

from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.outcome import Outcome
from airflow_provider_bitscale.runs.polling import CreditsDecision
from airflow_provider_bitscale.triggers.outcome import OutcomeTrigger


class CreditsTrigger(OutcomeTrigger):
    """Polls a workspace until ``credits.remaining >= min_credits``, or the deadline is reached.

    :param workspace_id: the workspace; None for the connection's.
    :param min_credits: credits to wait for.

    The other parameters are those of :class:`.OutcomeTrigger`.
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
        super().__init__(bitscale_conn_id, poll_interval, deadline, give_up_at)
        self.workspace_id = workspace_id
        self.min_credits = min_credits

    async def _outcome(self, hook: BitScaleHook) -> Outcome:
        decision = CreditsDecision(self.deadline, self.poll_interval, self.min_credits)
        return await hook.awatch_credits(self.workspace_id, decision)

"""How a hook waits for runs and credits, in a worker and in an event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_bitscale.api.models import Credits
from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.hooks.client_provider import ClientProvider
from airflow_provider_bitscale.runs.outcome import Outcome
from airflow_provider_bitscale.runs.planned_polls import PlannedPolls
from airflow_provider_bitscale.runs.poll_loop import watch, watch_async
from airflow_provider_bitscale.runs.polling import CreditsDecision, HintedRunDecision, RunDecision, Wait

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.models import Run, Workspace

log = logging.getLogger(__name__)


class Polling(ClientProvider):
    """The polls of a hook."""

    def run_poller(self, grid_id: str, run_id: str) -> Callable[[], Run]:
        """Return a function that polls a run: one attempt a call, no long wait for the rate limit."""
        with airflow_errors(self.bitscale_conn_id):
            return self.client.run_poller(grid_id, run_id)

    def credits_poller(self, workspace_id: str | None = None) -> Callable[[], Credits]:
        """Return a function that asks for the credits of a workspace, one attempt each time."""
        with airflow_errors(self.bitscale_conn_id):
            poll = self.client.workspace_poller(workspace_id)
        return lambda: credits_of(poll())

    def watch_run(self, grid_id: str, decision: RunDecision) -> Outcome:
        """Poll a run until the decision is an outcome, blocking."""
        return watch(self.run_poller(grid_id, decision.run_id), decision)

    async def awatch_run(
        self,
        grid_id: str,
        decision: RunDecision | HintedRunDecision,
        first: Wait | None = None,
        *,
        submitted_at: float | None = None,
    ) -> Outcome:
        """Async twin of :meth:`watch_run`, which a hint may hasten.

        :param first: the wait before the first poll.
        :param submitted_at: in Unix seconds, where polls are to be planned by what is known of other runs.
        """
        hint = decision.hint if isinstance(decision, HintedRunDecision) else None
        async with self.aclient() as client:
            poll = client.run_poller(grid_id, decision.run_id)
            if submitted_at is not None and isinstance(decision, RunDecision):
                return await PlannedPolls(client.hints, grid_id, decision, submitted_at).watch_async(poll)
            return await watch_async(poll, decision, first, hint)

    async def awatch_credits(self, workspace_id: str | None, decision: CreditsDecision) -> Outcome:
        """Ask for the credits of a workspace until the decision is an outcome."""
        async with self.aclient() as client:
            poll = client.workspace_poller(workspace_id)

            async def poll_credits() -> Credits:
                credits = credits_of(await poll())
                log.info("%s", decision.describe(credits))
                return credits

            return await watch_async(poll_credits, decision)


def credits_of(workspace: Workspace) -> Credits:
    """Return the credits of a workspace; figures that BitScale does not give are None."""
    return workspace.credits or Credits(None, None, None)

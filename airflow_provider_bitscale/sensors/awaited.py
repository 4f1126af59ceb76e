"""What the sensors wait for: how it is polled, here and in the triggerer, and what comes of it."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.errors import RunFailedError
from airflow_provider_bitscale.exceptions import (
    AwaitedRunFailedError,
    InvalidRequestError,
    airflow_errors,
)
from airflow_provider_bitscale.runs.grid_cache import shared_grid
from airflow_provider_bitscale.runs.inputs import input_columns, unique_names
from airflow_provider_bitscale.runs.poll_history import PollHistory
from airflow_provider_bitscale.runs.polling import CreditsDecision, RunDecision, Wait, poll_once
from airflow_provider_bitscale.runs.result import completed_run, run_result
from airflow_provider_bitscale.webhooks.callback_token import ADDRESS_FIELDS

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_bitscale.api.models import Grid, Run
    from airflow_provider_bitscale.deferral import Bounds
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
    from airflow_provider_bitscale.runs.options import OutputKey
    from airflow_provider_bitscale.runs.outcome import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Awaited(ABC):
    """The attributes of a sensor under their own names, and what they make of a poll.

    :param polls: those of this process: a sensor that is rescheduled begins with none.
    """

    hook: BitScaleHook
    bitscale_conn_id: str
    poke_interval: float
    polls: PollHistory = field(default_factory=PollHistory, init=False)

    @abstractmethod
    def poll(self, deadline: float) -> Wait | Outcome:
        """Poll once, and decide by a deadline in Unix seconds."""

    @abstractmethod
    def trigger(self, bounds: Bounds) -> BaseTrigger:
        """Return the trigger that polls on."""

    @abstractmethod
    def value(self, outcome: Outcome) -> Any:
        """Return the XCom of an outcome, or the error it stands for."""


@dataclass(frozen=True, kw_only=True)
class AwaitedCredits(Awaited):
    """A workspace that has enough credits."""

    min_credits: float
    workspace_id: str | None

    def poll(self, deadline: float) -> Wait | Outcome:
        """Ask for the credits once."""
        seen, now = poll_once(self.hook.credits_poller(self.workspace_id)), time.time()
        decision = CreditsDecision(deadline, self.poke_interval, self.min_credits)
        log.info("%s", decision.describe(seen))
        return decision.after(seen, now, 0.0, self.polls.lasting(seen, now))

    def trigger(self, bounds: Bounds) -> BaseTrigger:
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


@dataclass(frozen=True, kw_only=True)
class AwaitedRun(Awaited):
    """A run that has completed."""

    grid_id: str
    run_id: str
    delivery_address: dict[str, Any] | None
    trust_webhook: bool
    miss_values: Collection[str]
    key_outputs_by: OutputKey

    def poll(self, deadline: float) -> Wait | Outcome:
        """Poll the run once."""
        seen, now = poll_once(self.hook.run_poller(self.grid_id, self.run_id)), time.time()
        decision = RunDecision(deadline, self.poke_interval, self.run_id)
        return decision.after(seen, now, 0.0, self.polls.lasting(seen, now))

    def trigger(self, bounds: Bounds) -> BaseTrigger:
        """Return the trigger that polls on."""
        from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

        return RunCompletedTrigger(
            bitscale_conn_id=self.bitscale_conn_id,
            grid_id=self.grid_id,
            run_id=self.run_id,
            poll_interval=self.poke_interval,
            deadline=bounds.end,
            give_up_at=bounds.give_up_at,
            delivery_address=self._checked_address(),
            trust_webhook=self.trust_webhook,
        )

    def value(self, outcome: Outcome) -> dict[str, Any]:
        """Return the result of the run."""
        try:
            run = completed_run(outcome, self.grid_id, self.run_id)
        except RunFailedError as error:
            raise AwaitedRunFailedError(**error.fields()) from None
        grid = self._grid_of(run)
        return run_result(
            run,
            grid_id=self.grid_id,
            run_id=self.run_id,
            column_names=unique_names(grid) if self.key_outputs_by == "name" else {},
            input_columns=input_columns(grid),
            miss_values=self.miss_values,
        )

    def _grid_of(self, run: Run) -> Grid:
        """Return the grid, which names the outputs."""
        with airflow_errors(self.bitscale_conn_id):
            grid = shared_grid(self.hook.client, self.grid_id)
        if grid is None or not {column.id for column in grid.columns}.issuperset(run.outputs or ()):
            grid = self.hook.get_grid(self.grid_id)
        return grid

    def _checked_address(self) -> dict[str, Any] | None:
        address = self.delivery_address
        if not address:
            return None
        if not isinstance(address, dict) or set(address) != set(ADDRESS_FIELDS):
            raise InvalidRequestError(
                "delivery_address must be what the submitting task pushed, "
                f"submit.output['delivery_address'], not {address!r}"
            )
        if (conn_id := address["bitscale_conn_id"]) != self.bitscale_conn_id:
            raise InvalidRequestError(
                f"the run was submitted with connection {conn_id}, which signs its delivery; this sensor has "
                f"bitscale_conn_id {self.bitscale_conn_id}"
            )
        return address

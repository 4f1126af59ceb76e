"""The emulated world: credits and runs. Pure: every method takes ``now``, in Unix seconds."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.emulator import seed
from airflow_provider_bitscale.emulator.errors import INSUFFICIENT_CREDITS, RUN_LIMIT_EXCEEDED, ApiError
from airflow_provider_bitscale.emulator.fake_values import draw, draw_fraction, draw_log_normal
from airflow_provider_bitscale.emulator.runs import COMPLETED, FAILED, Run, RunScript
from airflow_provider_bitscale.emulator.settings import Settings
from airflow_provider_bitscale.emulator.validation import ValidRunRequest

_QUEUED_SHARE = 0.2
_CHEAPEST_RUN = 8
_COST_SPREAD = 9


@dataclass
class CreditBalance:
    """A workspace's credits of the billing cycle: all of them, and those that may still be spent."""

    total: int
    remaining: int

    def document(self) -> dict[str, int]:
        """Return the credits as a workspace's details show them."""
        return {"total": self.total, "used": self.total - self.remaining, "remaining": self.remaining}


class World:
    """Everything that BitScale would remember.

    :param run_id: ``ordinal -> id`` of a run.
    :param blank_misses: whether an enrichment whose inputs are all blank finds nothing.
    """

    def __init__(
        self, settings: Settings, run_id: Callable[[int], str], *, blank_misses: bool = False
    ) -> None:
        self.seed = settings.seed or 0
        self.workspaces: dict[str, seed.Workspace] = {
            workspace.id: workspace for workspace in seed.WORKSPACES
        }
        self.grids: dict[str, seed.Grid] = {
            grid.id: grid for grid in (*seed.GRIDS, *seed.extra_grids(settings.extra_grids))
        }
        self.runs: dict[str, Run] = {}
        self.runs_of_grid: Counter[str] = Counter()
        self.key_rotations = 0
        self._settings = settings
        self._run_id = run_id
        self._blank_misses = blank_misses
        self._balances = {
            workspace.id: CreditBalance(workspace.credits_included, workspace.credits_included)
            for workspace in seed.WORKSPACES
        }
        self.set_credits(seed.WORKSPACE_ID, settings.credits)
        self._refunds: list[tuple[float, str]] = []

    def credits(self, workspace_id: str, now: float) -> dict[str, int]:
        """Return the workspace's credits at ``now``; those of runs that failed by then are refunded."""
        self._settle(now)
        return self._balances[workspace_id].document()

    def set_credits(self, workspace_id: str, remaining: int) -> None:
        """Leave ``remaining`` credits in the workspace, whose total grows if that is more.

        :raises KeyError: there is no such workspace.
        """
        if workspace_id not in self.workspaces:
            raise KeyError(f"there is no workspace {workspace_id}")
        balance = self._balances[workspace_id]
        balance.total = max(balance.total, remaining)
        balance.remaining = remaining

    def accept(
        self, grid: seed.Grid, request: ValidRunRequest, now: float, draw_script: Callable[[], RunScript]
    ) -> Run:
        """Accept a valid request as a run, and take its cost at once, so that credits never go negative.

        A failed run costs nothing: its credits are refunded when it fails (the document is silent).

        :param draw_script: asked only once nothing can refuse the run any more.
        :raises ApiError: the quota or the credits do not allow the run; nothing has changed.
        """
        self._settle(now)
        run_limit = self._settings.run_limit
        if run_limit is not None and len(self.runs) >= run_limit:
            # The document ties no status to this code. Not 429: waiting does not help against a quota.
            raise ApiError(403, RUN_LIMIT_EXCEEDED, f"the plan's quota of {run_limit} runs is used up")
        row = dict(request.inputs)
        cost = _CHEAPEST_RUN + draw(self.seed, "cost", grid.id, row) % _COST_SPREAD
        balance = self._balances[grid.workspace_id]
        if cost > balance.remaining:
            raise ApiError(
                422, INSUFFICIENT_CREDITS, f"the run needs {cost} credits, {balance.remaining} remain"
            )
        balance.remaining -= cost
        script = draw_script()
        ordinal = len(self.runs)
        seconds = self._draw_seconds(grid.id, row, ordinal)
        run = Run(
            run_id=self._run_id(ordinal),
            grid_id=grid.id,
            workspace_id=grid.workspace_id,
            request=request,
            cost=cost,
            remaining=balance.remaining,
            outputs=self._outputs(grid, request),
            submitted_at=now,
            starts_at=now + seconds * _QUEUED_SHARE,
            ends_at=None if script.endless else now + seconds,
            failure=script.failure,
            seen_from=now + script.unseen_seconds,
            unseen_polls=script.unseen_polls,
        )
        self.runs[run.run_id] = run
        self.runs_of_grid[grid.id] += 1
        self._note_refund(run)
        return run

    def poll(self, run_id: str, now: float, grid_id: str | None = None) -> Run | None:
        """Count a poll and return its run.

        :param grid_id: of the grid that must have the run; None for any.
        :return: None if there is no such run, or it cannot be seen yet.
        """
        run = self.runs.get(run_id)
        if run is None or grid_id not in {None, run.grid_id}:
            return None
        run.polls += 1
        return None if now < run.seen_from or run.polls <= run.unseen_polls else run

    def finish(self, run_id: str, status: str, now: float) -> Run:
        """End a run at ``now`` as ``completed`` or ``failed``.

        :raises KeyError: there is no such run.
        :raises ValueError: the run has ended, or another status.
        """
        if run_id not in self.runs:
            raise KeyError(f"there is no run {run_id}")
        run = self.runs[run_id]
        if status not in {COMPLETED, FAILED}:
            raise ValueError(f"status must be {COMPLETED} or {FAILED}, got {status!r}")
        if run.ended(now):
            raise ValueError(f"run {run_id} is already {run.status(now)}")
        run.starts_at = min(run.starts_at, now)
        run.ends_at = now
        run.failure = None if status == COMPLETED else "The run was ended as failed."
        self._note_refund(run)
        return run

    def snapshot(self, now: float) -> dict[str, Any]:
        """Return all runs, in order of acceptance, and all credits as they are at ``now``."""
        return {
            "runs": [run.record(now) for run in self.runs.values()],
            "credits": {workspace_id: self.credits(workspace_id, now) for workspace_id in self._balances},
            "runs_paid": len(self.runs),
        }

    def _draw_seconds(self, *run: object) -> float:
        share, slow_seconds = self._settings.slow_runs
        if draw_fraction(self.seed, "slow", *run) < share:
            return slow_seconds
        return draw_log_normal(*self._settings.run_seconds, self.seed, "seconds", *run)

    def _outputs(self, grid: seed.Grid, request: ValidRunRequest) -> dict[str, Any]:
        wanted = request.output_columns
        columns = grid.columns if wanted is None else [grid.by_id[column_id] for column_id in wanted]
        return {column.id: self._value(grid, column, request.inputs) for column in columns}

    def _value(self, grid: seed.Grid, column: seed.Column, inputs: Mapping[str, Any]) -> Any:
        if column.fake_value is None:
            return inputs.get(column.id)
        if column.type == seed.AI_ENRICHMENT and self._misses(grid, column, inputs):
            return column.fake_value.miss
        return column.fake_value.compute(self.seed, inputs)

    def _misses(self, grid: seed.Grid, column: seed.Column, inputs: Mapping[str, Any]) -> bool:
        blank = all(not str(inputs.get(needed) or "").strip() for needed in column.dependencies)
        if blank and self._blank_misses:
            return True
        return draw_fraction(self.seed, "miss", grid.id, column.id, dict(inputs)) < self._settings.miss_rate

    def _note_refund(self, run: Run) -> None:
        if run.failure is not None and run.ends_at is not None:
            heapq.heappush(self._refunds, (run.ends_at, run.run_id))

    def _settle(self, now: float) -> None:
        while self._refunds and self._refunds[0][0] <= now:
            run = self.runs[heapq.heappop(self._refunds)[1]]
            # The run may have been ended otherwise, or earlier, after its refund was noted.
            if run.failure is None or run.refunded:
                continue
            run.refunded = True
            balance = self._balances[run.workspace_id]
            balance.remaining = min(balance.total, balance.remaining + run.cost)

"""The emulated world: credits and runs. Pure: every method takes ``now``, in Unix seconds.

A run's status is a function of its times, so nothing has to tick while no one looks.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_provider_bitscale.emulator.answers import draw, draw_fraction, draw_log_normal
from airflow_provider_bitscale.emulator.errors import (
    INSUFFICIENT_CREDITS,
    RUN_LIMIT_EXCEEDED,
    ApiError,
)
from airflow_provider_bitscale.emulator.seed import (
    AI_ENRICHMENT,
    GRIDS,
    WORKSPACE_ID,
    WORKSPACES,
    Column,
    Grid,
    Workspace,
)
from airflow_provider_bitscale.emulator.validation import RunRequest

QUEUED = "queued"
RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"

_QUEUED_SHARE = 0.2
_CHEAPEST_RUN = 8
_COST_SPREAD = 9


@dataclass(frozen=True)
class Fate:
    """How a run shall end: as seeded (the default), failed with a message, or not at all.

    Polls do not find it for ``unseen_seconds`` from its acceptance and ``unseen_polls`` times.
    """

    failure: str | None = None
    endless: bool = False
    unseen_seconds: float = 0.0
    unseen_polls: int = 0


@dataclass
class Purse:
    """A workspace's credits of the billing cycle; ``used`` never exceeds ``total``."""

    total: int
    used: int

    @classmethod
    def with_remaining(cls, total: int, remaining: int) -> Purse:
        """Return a purse with ``remaining`` left of ``total``, grown where it holds more than that."""
        total = max(total, remaining)
        return cls(total, total - remaining)

    @property
    def remaining(self) -> int:
        """Credits that may still be spent."""
        return self.total - self.used

    def document(self) -> dict[str, int]:
        """Return the credits as a workspace's details show them."""
        return {"total": self.total, "used": self.used, "remaining": self.remaining}


@dataclass
class Run:
    """One accepted run. Times are Unix seconds; ``ends_at`` is None while the run has no end."""

    run_id: str
    grid_id: str
    workspace_id: str
    request: RunRequest
    cost: int
    remaining: int
    outputs: dict[str, Any]
    submitted_at: float
    starts_at: float
    ends_at: float | None
    failure: str | None
    seen_from: float
    unseen_polls: int
    polls: int = 0
    refunded: bool = field(default=False, repr=False)

    def ended(self, now: float) -> bool:
        """Say whether the run is over at ``now``."""
        return self.ends_at is not None and now >= self.ends_at

    def status(self, now: float) -> str:
        """Return the status in the words of the document ("Run Status Values") at ``now``."""
        if self.ended(now):
            return COMPLETED if self.failure is None else FAILED
        return RUNNING if now >= self.starts_at else QUEUED

    def record(self, now: float) -> dict[str, Any]:
        """Return the run as the control API shows it; times in Unix seconds, None until they have come."""
        status = self.status(now)
        return {
            "run_id": self.run_id,
            "grid_id": self.grid_id,
            "workspace_id": self.workspace_id,
            "status": status,
            "mode": self.request.mode,
            "inputs": dict(self.request.inputs),
            "output_columns": None
            if self.request.output_columns is None
            else list(self.request.output_columns),
            "webhook_url": self.request.webhook_url,
            "credits_consumed": 0 if status == FAILED else self.cost,
            "submitted_at": self.submitted_at,
            "started_at": self.starts_at if now >= self.starts_at else None,
            "completed_at": self.ends_at if self.ended(now) else None,
            "polls": self.polls,
        }


class World:
    """Everything BitScale would remember, from ``credits`` left in the demo workspace on.

    ``run_seconds`` bounds a run's duration in seconds, but for ``slow_runs``, the share of runs that take
    so many seconds; ``run_limit`` is the plan's quota of runs.
    ``run_id`` turns an ordinal into an id. ``miss_rate`` is the share of enrichments that find nothing; with
    ``blank_misses``, those whose inputs are all blank find nothing either.
    """

    def __init__(
        self,
        *,
        seed: int,
        credits: int,
        run_seconds: tuple[float, float],
        slow_runs: tuple[float, float] = (0.0, 0.0),
        run_limit: int | None,
        grids: Iterable[Grid] = GRIDS,
        run_id: Callable[[int], str],
        miss_rate: float = 0.0,
        blank_misses: bool = False,
    ) -> None:
        self.seed = seed
        self.workspaces: dict[str, Workspace] = {workspace.id: workspace for workspace in WORKSPACES}
        self.grids: dict[str, Grid] = {grid.id: grid for grid in grids}
        self.runs: dict[str, Run] = {}
        self.runs_of_grid: Counter[str] = Counter()
        self.key_rotations = 0
        self._run_seconds = run_seconds
        self._slow_runs = slow_runs
        self._run_limit = run_limit
        self._run_id = run_id
        self._miss_rate = miss_rate
        self._blank_misses = blank_misses
        self._purses = {
            workspace.id: Purse.with_remaining(
                workspace.credits_included,
                credits if workspace.id == WORKSPACE_ID else workspace.credits_included,
            )
            for workspace in WORKSPACES
        }
        self._refunds: list[tuple[float, str]] = []

    def credits(self, workspace_id: str, now: float) -> dict[str, int]:
        """Return the workspace's credits at ``now``, runs that failed by then given back."""
        self._settle(now)
        return self._purses[workspace_id].document()

    def set_credits(self, workspace_id: str, remaining: int) -> None:
        """Leave ``remaining`` credits in the workspace; ``KeyError`` if there is no such workspace."""
        purse = self._purses[workspace_id]
        self._purses[workspace_id] = Purse.with_remaining(purse.total, remaining)

    def accept(self, grid: Grid, request: RunRequest, now: float, draw_fate: Callable[[], Fate]) -> Run:
        """Accept a checked request as a run, its cost taken at once so that credits never go negative.

        ``draw_fate`` is asked only once nothing can refuse the run any more. A failed run costs nothing:
        what was taken is given back when it fails (the document is silent).
        Raises ``ApiError`` and changes nothing when the quota or the credits do not allow the run.
        """
        self._settle(now)
        if self._run_limit is not None and len(self.runs) >= self._run_limit:
            # The document ties no status to this code. Not 429: waiting does not help against a quota.
            raise ApiError(403, RUN_LIMIT_EXCEEDED, f"the plan's quota of {self._run_limit} runs is used up")
        row = dict(request.inputs)
        cost = _CHEAPEST_RUN + draw(self.seed, "cost", grid.id, row) % _COST_SPREAD
        purse = self._purses[grid.workspace_id]
        if cost > purse.remaining:
            raise ApiError(
                422, INSUFFICIENT_CREDITS, f"the run needs {cost} credits, {purse.remaining} remain"
            )
        purse.used += cost
        fate = draw_fate()
        ordinal = len(self.runs)
        seconds = self._draw_seconds(grid.id, row, ordinal)
        run = Run(
            run_id=self._run_id(ordinal),
            grid_id=grid.id,
            workspace_id=grid.workspace_id,
            request=request,
            cost=cost,
            remaining=purse.remaining,
            outputs=self._outputs(grid, request),
            submitted_at=now,
            starts_at=now + seconds * _QUEUED_SHARE,
            ends_at=None if fate.endless else now + seconds,
            failure=fate.failure,
            seen_from=now + fate.unseen_seconds,
            unseen_polls=fate.unseen_polls,
        )
        self.runs[run.run_id] = run
        self.runs_of_grid[grid.id] += 1
        self._note_refund(run)
        return run

    def poll(self, run_id: str, now: float, grid_id: str | None = None) -> Run | None:
        """Count a poll and return its run; None: not found yet, or no such run of the grid (None: of any)."""
        run = self.runs.get(run_id)
        if run is None or grid_id not in {None, run.grid_id}:
            return None
        run.polls += 1
        return None if now < run.seen_from or run.polls <= run.unseen_polls else run

    def finish(self, run_id: str, status: str, now: float) -> Run:
        """End a run at ``now`` as ``completed`` or ``failed``.

        Raises ``KeyError`` for an unknown run and ``ValueError`` for one that is over or another status.
        """
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
            "credits": {workspace_id: self.credits(workspace_id, now) for workspace_id in self._purses},
            "runs_paid": len(self.runs),
        }

    def _draw_seconds(self, *run: object) -> float:
        share, slow_seconds = self._slow_runs
        if draw_fraction(self.seed, "slow", *run) < share:
            return slow_seconds
        return draw_log_normal(*self._run_seconds, self.seed, "seconds", *run)

    def _outputs(self, grid: Grid, request: RunRequest) -> dict[str, Any]:
        wanted = request.output_columns
        columns = grid.columns if wanted is None else [grid.by_id[column_id] for column_id in wanted]
        return {column.id: self._value(grid, column, request.inputs) for column in columns}

    def _value(self, grid: Grid, column: Column, inputs: Mapping[str, Any]) -> Any:
        if column.answer is None:
            return inputs.get(column.id)
        if column.type == AI_ENRICHMENT and self._misses(grid, column, inputs):
            return column.answer.miss
        return column.answer(self.seed, inputs)

    def _misses(self, grid: Grid, column: Column, inputs: Mapping[str, Any]) -> bool:
        blank = all(not str(inputs.get(needed) or "").strip() for needed in column.dependencies)
        if blank and self._blank_misses:
            return True
        return draw_fraction(self.seed, "miss", grid.id, column.id, dict(inputs)) < self._miss_rate

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
            purse = self._purses[run.workspace_id]
            purse.used = max(0, purse.used - run.cost)


def timestamp(seconds: float) -> str:
    """Return Unix ``seconds`` in the document's time format, whole seconds of UTC."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

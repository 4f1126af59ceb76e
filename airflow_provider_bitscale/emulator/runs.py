"""One run of the emulated world. Pure: times are Unix seconds.

A run's status is a function of its times, so nothing runs between two requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_provider_bitscale.emulator.validation import ValidRunRequest

QUEUED = "queued"
RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"


@dataclass(frozen=True)
class RunScript:
    """How a run shall go: it ends as seeded (the default), fails with a message, or never ends.

    Polls do not find it for ``unseen_seconds`` from its acceptance, nor the first ``unseen_polls`` times.
    """

    failure: str | None = None
    endless: bool = False
    unseen_seconds: float = 0.0
    unseen_polls: int = 0


@dataclass
class Run:
    """One accepted run. Times are Unix seconds; ``ends_at`` is None while the run has no end."""

    run_id: str
    grid_id: str
    workspace_id: str
    request: ValidRunRequest
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
        """Whether the run has ended at ``now``."""
        return self.ends_at is not None and now >= self.ends_at

    def status(self, now: float) -> str:
        """Return the status in the words of the document ("Run Status Values") at ``now``."""
        if self.ended(now):
            return COMPLETED if self.failure is None else FAILED
        return RUNNING if now >= self.starts_at else QUEUED

    def record(self, now: float) -> dict[str, Any]:
        """Return the run as the control API shows it; times in Unix seconds, None while in the future."""
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


def timestamp(seconds: float) -> str:
    """Return Unix ``seconds`` in the document's time format, whole seconds of UTC."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Pure: which submitted runs have not been delivered, and what follows from a poll of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_bitscale.api.models import Run, RunStatus

# A run that was submitted longer ago is given up: the receiver makes no event of a run that ended then.
GIVEN_UP_AFTER = 30 * 86_400.0
# An event is read by its time, but may be committed later; and a delivery may come before the task that
# submitted the run has succeeded.
OVERLAP_SECONDS = 300.0


@dataclass(frozen=True)
class Backlog:
    """The runs that were submitted and not delivered, as far as is known.

    Each run that was submitted until ``read_until`` has been delivered or given up, or it is in ``open``.
    Losing a backlog costs polls alone: the next one reads all submissions of 30 days.

    :param read_until: Unix seconds.
    :param open: by run id, when it was submitted, in Unix seconds.
    """

    read_until: float = 0.0
    open: Mapping[str, float] = field(default_factory=dict)

    def since(self, now: float) -> float:
        """Return the Unix seconds from which on events are to be read."""
        return max(self.read_until - OVERLAP_SECONDS, now - GIVEN_UP_AFTER)

    def after_reading(
        self, submitted: Mapping[str, float], delivered: Collection[str], until: float
    ) -> Backlog:
        """Return the backlog after the events since :meth:`since` were read.

        :param submitted: by run id, when it was submitted, in Unix seconds.
        :param delivered: ids of runs that were delivered since.
        :param until: Unix seconds up to which submissions were read; deliveries were read to the end.
        """
        found = {**submitted, **self.open}
        undelivered = {run_id: at for run_id, at in found.items() if run_id not in delivered}
        return Backlog(max(until, self.read_until), undelivered)

    def without(self, run_ids: Collection[str]) -> Backlog:
        """Return the backlog when these have been delivered or given up."""
        return Backlog(
            self.read_until, {run_id: at for run_id, at in self.open.items() if run_id not in run_ids}
        )

    def given_up(self, now: float) -> list[str]:
        """Return the ids of runs that were submitted too long ago."""
        return [run_id for run_id, at in self.open.items() if at < now - GIVEN_UP_AFTER]

    def to_json(self) -> dict[str, Any]:
        """``{read_until, open}``; :meth:`from_json` reads it back."""
        return {"read_until": self.read_until, "open": dict(self.open)}

    @classmethod
    def from_json(cls, stored: Any) -> Backlog:
        """Return what was stored; an empty backlog if that cannot be read."""
        try:
            opened = {str(run_id): float(at) for run_id, at in stored["open"].items()}
            return cls(float(stored["read_until"]), opened)
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()


def can_be_delivered(run: Run, run_id: str) -> bool:
    """Whether a poll has shown what a delivery would: this run has ended, and its result is there."""
    if run.run_id not in (None, run_id) or not run.status.is_terminal:
        return False
    return run.status is RunStatus.FAILED or run.outputs is not None

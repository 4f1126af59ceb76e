"""Counts and credits of a batch so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.row_result import FAILED, RowResult
from airflow_provider_bitscale.batch.store.segment_records import Summary

# Of two reasons to stop, the one that fails the task is told, and first the one that no retry can mend.
_WEIGHTS = {"unreadable_answers": 3, "max_failed_rows": 2, "deadline": 1}


@dataclass
class Tally:
    """Counts what becomes of rows.

    :param counts: rows by status.
    :param credits: consumed, as far as is known.
    :param collectable: rows that are unknown, and whose run id is known.
    :param submitted: submissions that were, or may have been, accepted in this try.
    :param cause: the answer that stopped the submitting, where it was one.
    :param parts: paths by number of the segment.
    :param stopped_by: why rows were left out: ``max_credits``, ``insufficient_credits``,
        ``run_limit_exceeded``, ``refused``, ``ambiguous_answers``, ``unreadable_answers``,
        ``max_failed_rows``, ``deadline``; None if they were not.
    """

    counts: Counter[str] = field(default_factory=Counter)
    credits: float = 0
    untold: int = 0
    collectable: int = 0
    submitted: int = 0
    cause: BitScaleError | None = None
    first_failure: str | None = None
    parts: dict[int, str] = field(default_factory=dict)
    stopped_by: str | None = None

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return self.counts[FAILED]

    @property
    def settled(self) -> int:
        """Rows of which the fate is known, or known to be unknown."""
        return self.counts.total()

    def add(self, settled: RowResult) -> None:
        """Count a row that is settled."""
        self.counts[settled.status] += 1
        if settled.status == FAILED:
            self.first_failure = self.first_failure or settled.error
        self.credits += settled.credits or 0
        self.untold += settled.is_untold
        self.collectable += settled.is_collectable

    def take_back(self, settled: RowResult) -> None:
        """Take back the count of a row."""
        self.counts[settled.status] -= 1
        self.credits -= settled.credits or 0
        self.untold -= settled.is_untold
        self.collectable -= settled.is_collectable

    def stop(self, reason: str, cause: BitScaleError | None = None) -> None:
        """No more rows are submitted."""
        if self.stopped_by is None or _WEIGHTS.get(reason, 0) > _WEIGHTS.get(self.stopped_by, 0):
            self.stopped_by, self.cause = reason, cause

    def add_summary(self, number: int, summary: Summary) -> None:
        """Count a segment that an earlier try finished."""
        self.counts.update(summary.counts)
        self.credits += summary.credits
        self.untold += summary.untold
        if summary.part is not None:
            self.parts[number] = summary.part

    def summary(self, part: str | None) -> Summary:
        """Return what the rows come to, if they are those of one segment."""
        return Summary(part=part, counts=dict(self.counts), credits=self.credits, untold=self.untold)

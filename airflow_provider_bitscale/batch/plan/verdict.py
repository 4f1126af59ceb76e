"""Pure: whether a batch has enough rows for its task to succeed, and else whether a retry can help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from airflow_provider_bitscale.batch.row_result import DUPLICATE, FAILED, NOT_SUBMITTED, SUCCEEDED, UNKNOWN

# Reasons to leave rows out that the author of the DAG gave: what is missing then is missing on purpose.
_OWN_LIMITS = ("max_credits",)


class Verdict(Enum):
    """What the task does."""

    SUCCEED = "nothing is missing, or only what may be"
    UNREADABLE = "fail without retries: what BitScale accepted could not be read"
    TOO_MANY_FAILED = "fail without retries: more rows failed than may fail"
    OUT_OF_TIME = "fail: rows were left at the deadline, and a retry goes on with them"
    ASK_AGAIN = "fail: a retry asks again for runs that are known, at no cost"
    REFUSED = "fail without retries: BitScale refused from the start"
    INCOMPLETE = "fail without retries: rows are missing, and no retry would find them"


@dataclass(frozen=True)
class Ending:
    """The result of one try of a batch.

    :param counts: rows by status.
    :param collectable: rows that are unknown, and whose run id is known.
    :param stopped_by: why rows were left out, as in the manifest.
    :param refused: whether BitScale refused to start runs, and accepted none in this try.
    """

    counts: Mapping[str, int]
    collectable: int
    stopped_by: str | None
    max_failed: int
    refused: bool = False

    @property
    def wanted(self) -> int:
        """Rows that were to be run."""
        return sum(count for status, count in self.counts.items() if status != DUPLICATE)

    @property
    def missing(self) -> int:
        """Those of them that have no result."""
        return self.wanted - self._count(SUCCEEDED)

    def verdict(self, *, fail_when_incomplete: bool) -> Verdict:
        """Return what the task does; it may succeed with rows missing unless ``fail_when_incomplete``."""
        if self.stopped_by == "unreadable_answers":
            return Verdict.UNREADABLE
        if self.stopped_by == "refused":
            return Verdict.REFUSED
        if self._count(FAILED) > self.max_failed:
            return Verdict.TOO_MANY_FAILED
        if self.stopped_by == "deadline":
            return Verdict.OUT_OF_TIME
        if not self.missing or (not fail_when_incomplete and self._count(SUCCEEDED)):
            return Verdict.SUCCEED
        if self.collectable:
            return Verdict.ASK_AGAIN
        if self.refused and not self._count(SUCCEEDED):
            return Verdict.REFUSED
        left_out = 0 if self.stopped_by in _OWN_LIMITS else self._count(NOT_SUBMITTED)
        if not self._count(SUCCEEDED) or self._count(UNKNOWN) or left_out:
            return Verdict.INCOMPLETE
        return Verdict.SUCCEED

    def __str__(self) -> str:
        """Return the counts, as ``3 of 20 rows are missing: 1 failed, 2 not submitted (max_credits)``."""
        reason = f" ({self.stopped_by})" if self.stopped_by else ""
        numbers = {
            "failed": self._count(FAILED),
            "unknown with a run id": self.collectable,
            "unknown without a run id": self._count(UNKNOWN) - self.collectable,
            f"not submitted{reason}": self._count(NOT_SUBMITTED),
        }
        told = ", ".join(f"{count:,} {what}" for what, count in numbers.items() if count)
        return f"{self.missing:,} of {self.wanted:,} rows are missing: {told or 'none'}"

    def _count(self, status: str) -> int:
        return self.counts.get(status, 0)

"""How a batch goes: for the log, for the task's state store, and for metrics. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.row_result import FAILED, NOT_SUBMITTED, STATUSES, RowResult
from airflow_provider_bitscale.batch.store.segment_records import Summary

# Of two reasons to stop, the one that fails the task counts, and first the one that no retry can mend.
_WEIGHTS = {"unreadable_answers": 3, "max_failed_rows": 2, "deadline": 1}


@dataclass(frozen=True)
class Progress:
    """A moment of a batch.

    :param rows: in all.
    :param counts: rows with a result, by status.
    :param runs_without_credits: whose cost is not known.
    :param credits_expected: spent, and reserved for what is in flight; None while no cost is known.
    :param requests_left: that are needed at least.
    :param limit_per_second: requests a second that BitScale allows, where that is known.
    :param hindrance: what holds the batch up, see :func:`hindrance_of`; None if nothing does.
    :param error: what ended the submitting, if that was an error.
    """

    rows: int
    counts: Mapping[str, int]
    in_flight: int
    credits_spent: float
    runs_without_credits: int
    credits_expected: float | None
    requests_per_second: float
    requests_left: int
    limit_per_second: float | None
    stopped_by: str | None
    hindrance: str | None
    error: str | None

    @property
    def settled(self) -> int:
        """Rows that have a result, unknown ones included."""
        return sum(self.counts.get(status, 0) for status in STATUSES if status != NOT_SUBMITTED)

    @property
    def seconds_left(self) -> float | None:
        """About how long it will take, if requests go on as they do; None where that is not known."""
        if not self.requests_per_second or self.hindrance or self.error:
            return None
        return self.requests_left / self.requests_per_second

    def to_json(self) -> dict[str, Any]:
        """As the task's state store keeps it."""
        return {**asdict(self), "settled": self.settled, "seconds_left": self.seconds_left}

    def __str__(self) -> str:
        told = ", ".join(
            f"{count:,} {status}" for status in STATUSES if (count := self.counts.get(status, 0))
        )
        parts = [
            f"{self.settled:,} of {self.rows:,} rows{f' ({told})' if told else ''}",
            f"{self.in_flight:,} in flight",
            f"{self.requests_per_second:.1f} requests/s"
            + (f" of {self.limit_per_second:g}" if self.limit_per_second else ""),
            credits_spent(self.credits_spent, self.runs_without_credits)
            + (f", {self.credits_expected:,.0f} expected" if self.credits_expected else ""),
        ]
        if self.hindrance:
            parts.append(self.hindrance)
        if self.stopped_by or self.error:
            parts.append(f"no more are submitted ({self.stopped_by or self.error})")
        elif (left := self.seconds_left) and self.settled < self.rows:
            parts.append(f"about {_duration(left)} left")
        return "; ".join(parts)


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
    unknown_costs: int = 0
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
        """Rows that have a result, unknown ones included."""
        return self.counts.total()

    def add(self, result: RowResult, times: Literal[1, -1] = 1) -> None:
        """Count the result of a row; with -1, take it back."""
        self.counts[result.status] += times
        if result.status == FAILED:
            self.first_failure = self.first_failure or result.error
        self.credits += times * (result.credits or 0)
        self.unknown_costs += times * result.has_unknown_cost
        self.collectable += times * result.is_collectable

    def stop(self, reason: str, cause: BitScaleError | None = None) -> None:
        """Note why no more rows are submitted."""
        if self.stopped_by is None or _WEIGHTS.get(reason, 0) > _WEIGHTS.get(self.stopped_by, 0):
            self.stopped_by, self.cause = reason, cause

    def add_summary(self, number: int, summary: Summary) -> None:
        """Count a segment that an earlier try finished."""
        self.counts.update(summary.counts)
        self.credits += summary.credits
        self.unknown_costs += summary.untold
        if summary.part is not None:
            self.parts[number] = summary.part

    def summary(self, part: str | None) -> Summary:
        """Return the counts as those of one segment."""
        return Summary(part=part, counts=dict(self.counts), credits=self.credits, untold=self.unknown_costs)


def hindrance_of(plan: Scheduler, now: float, unix_now: float) -> str | None:
    """Return what holds a batch up, for people, by the scheduler's clock; None if nothing does."""
    if (outage := plan.outage.describe(now, unix_now)) is not None:
        return outage
    if plan.stopped or not plan.ready or not plan.in_flight:
        return None
    if not plan.brake.proven:
        return f"first run not understood yet: {plan.in_flight:,} in flight"
    return f"learning what a row costs: {plan.in_flight:,} in flight" if plan.learns_costs else None


def credits_spent(credits: float, without_cost: int) -> str:
    """Return what was spent, as far as it is known: no amount where the cost of no run is known."""
    if without_cost and not credits:
        return f"{without_cost:,} runs did not tell what they cost"
    return f"{_amount(credits)} credits spent" + (
        f", {without_cost:,} runs did not tell theirs" if without_cost else ""
    )


def _amount(credits: float) -> str:
    return f"{credits:,.2f}".rstrip("0").rstrip(".")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

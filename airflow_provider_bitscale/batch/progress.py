"""How a batch goes: for the log, for the task's state store, and for metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.batch.row_result import NOT_SUBMITTED, STATUSES

if TYPE_CHECKING:
    from airflow_provider_bitscale.batch.plan.scheduler import Scheduler


@dataclass(frozen=True)
class Progress:
    """A moment of a batch.

    :param rows: in all.
    :param counts: settled rows by status.
    :param runs_without_credits: that did not tell what they cost.
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
        """Rows of which the fate is known, or known to be unknown."""
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


def hindrance_of(plan: Scheduler, now: float, unix_now: float) -> str | None:
    """Return what holds a batch up, for people; None if nothing does.

    :param now: seconds of the planner's clock.
    """
    if (outage := plan.outage.describe(now, unix_now)) is not None:
        return outage
    if plan.stopped or not plan.ready or not plan.in_flight:
        return None
    if not plan.brake.proven:
        return f"first run not understood yet: {plan.in_flight:,} in flight"
    return f"learning what a row costs: {plan.in_flight:,} in flight" if plan.learns_costs else None


def credits_spent(credits: float, without_cost: int) -> str:
    """Return what was spent, as far as it is known: where no run told what it cost, no amount is named.

    :param without_cost: how many runs did not tell what they cost.
    """
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

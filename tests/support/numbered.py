"""A scheduler whose rows are known by number, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.plan.scheduler import GiveUp, OutOfBudget, PollRow, Scheduler, SubmitRow
from airflow_provider_bitscale.batch.row_result import DUPLICATE, FAILED, SUCCEEDED, UNKNOWN, RowResult

NOW = 1000.0


class Plan(Scheduler):
    """The rows of one segment, made as they are named."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.rows: dict[int, BatchRow] = {}

    def row(self, number: int) -> BatchRow:
        if number not in self.rows:
            self.rows[number] = BatchRow(number, 0, number)
        return self.rows[number]

    def age(self, number: int, now: float) -> float:
        return now - self.row(number).since

    def add(self, numbers: Iterable[int]) -> None:
        """Their intent is durable."""
        for number in numbers:
            self.apply(self.row(number), Event.ANNOUNCED, NOW)
            self.apply(self.row(number), Event.DURABLE, NOW)

    def skip(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.apply(self.row(number), Event.DUPLICATE, NOW, result=RowResult(DUPLICATE))

    def resume(self, number: int, now: float) -> None:
        self.apply(self.row(number), Event.RESUMED, now, run_id=f"run_{number}")

    def inherit(self, number: int, now: float) -> None:
        self.apply(self.row(number), Event.INHERITED, now)

    def halt(self) -> list[int]:
        """Submit no more; the rows that were ready."""
        rows = self.stop()
        for row in rows:
            self.apply(row, Event.RETRACTED, NOW)
        return [row.number for row in rows]

    def accepted(self, number: int, now: float) -> None:
        self.apply(self.row(number), Event.ACCEPTED, now, run_id=f"run_{number}")

    def put_back(self, number: int, submit_from: float = 0.0) -> None:
        self.hold(submit_from)
        self.apply(self.row(number), Event.NOT_PROCESSED, NOW)

    def submit_again(self, number: int) -> None:
        self.apply(self.row(number), Event.RESUBMITTED, NOW)

    def refused(self, number: int) -> None:
        self.apply(self.row(number), Event.REFUSED, NOW, result=RowResult(FAILED))

    def lost(self, number: int, now: float) -> None:
        self.apply(self.row(number), Event.LOST, now)

    def delivered(self, number: int, now: float) -> None:
        self.apply(self.row(number), Event.DELIVERED, now, run_id=f"run_{number}")

    def hint(self, number: int) -> None:
        self.apply(self.row(number), Event.HINTED, NOW)

    def not_ended(self, number: int, now: float, not_before: float = 0.0) -> None:
        self.apply(self.row(number), Event.NOT_ENDED, now, not_before=not_before)

    def ended(self, number: int, now: float, credits: float | None, took: float | None = None) -> None:
        result = RowResult(SUCCEEDED, self.row(number).run_id, credits)
        self.apply(self.row(number), Event.ENDED, now, result=result, took=took)

    def given_up(self, number: int) -> None:
        self.apply(self.row(number), Event.GIVEN_UP, NOW, result=RowResult(UNKNOWN))

    def give_up_overdue(self, now: float) -> list[int]:
        """The rows that are waited for no more."""
        step = self.next(now)
        rows = step.rows if isinstance(step, GiveUp) else []
        for row in rows:
            self.given_up(row.number)
        return [row.number for row in rows]

    def out_of_budget(self) -> bool:
        """Whether rows are left, and nothing can free credits for them."""
        return isinstance(self.next(NOW), OutOfBudget)

    def resubmit_ambiguous(self) -> list[int]:
        rows = self.take_ambiguous()
        for row in rows:
            self.submit_again(row.number)
        return [row.number for row in rows]

    def leave(self, now: float) -> None:
        """Their runs are left to a retry."""
        for row in self.polls.rows():
            self.apply(row, Event.LEFT, now)


def take(plan: Plan, kind: type[SubmitRow | PollRow], number: int, now: float = NOW) -> None:
    """What the scheduler has to decide now, and begins."""
    step = plan.next(now)
    assert isinstance(step, (SubmitRow, PollRow))
    assert step == kind(plan.row(number))
    plan.begin(step, now)

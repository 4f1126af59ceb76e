"""Rows of which only a delivery can tell whether a run was started: what they hold up, and for how long."""

from __future__ import annotations

import math

import pytest

from airflow_provider_bitscale.batch.plan.ambiguous import LEAST_PATIENCE, PATIENCE
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.poll_schedule import SOON_SECONDS
from airflow_provider_bitscale.batch.plan.scheduler import (
    Done,
    PollRow,
    Rest,
    SubmitRow,
)
from airflow_provider_bitscale.runs.polling import SELDOM_SECONDS
from tests.support.numbered import NOW, Plan, take

TIMEOUT = 3600.0


def a_plan(
    rows: int, *, cap: float | None = None, most: int | None = None, took: float | None = None
) -> tuple[Plan, Budget]:
    """A scheduler of which row 0 is ambiguous since NOW, all others are ready.

    :param took: the length of a run that has ended before.
    """
    budget = Budget(cap)
    plan = Plan(rows + (took is not None), budget, Brake(most, proven=True), TIMEOUT, expects_deliveries=True)
    if took is not None:
        plan.add([100])
        take(plan, SubmitRow, 100)
        plan.accepted(100, NOW)
        plan.hint(100)
        plan.ended(100, NOW, 10, took)
    plan.add(list(range(rows)))
    take(plan, SubmitRow, 0)
    plan.lost(0, NOW)
    return plan, budget


def given_up_after(plan: Plan) -> float:
    """Seconds after which the row is given up, if nothing else happens."""
    seconds = (second for second in range(10_000) if plan.give_up_overdue(NOW + second))
    return next(seconds, math.inf)


@pytest.mark.parametrize(
    ("took", "seconds"),
    [(None, TIMEOUT), (1.0, LEAST_PATIENCE), (300.0, 300.0 * PATIENCE), (TIMEOUT, TIMEOUT)],
)
def test_once_nothing_else_is_under_way_it_is_waited_for_as_long_as_a_run_may_take(
    took: float | None, seconds: float
) -> None:
    plan, _ = a_plan(1, took=took)
    assert given_up_after(plan) == seconds
    assert plan.next(NOW + seconds) == Done()


def test_while_anything_is_under_way_waiting_costs_nothing() -> None:
    plan, _ = a_plan(2, took=1.0)
    assert given_up_after(plan) == TIMEOUT, "a row is ready"
    plan, _ = a_plan(2, took=1.0)
    take(plan, SubmitRow, 1)
    assert given_up_after(plan) == TIMEOUT, "a submission is on its way"
    plan, _ = a_plan(2, took=1.0)
    take(plan, SubmitRow, 1)
    plan.accepted(1, NOW)
    assert given_up_after(plan) == TIMEOUT, "a run is under way"


@pytest.mark.parametrize("took", [None, 1.0])
def test_when_time_is_up_it_is_left_to_a_retry(took: float | None) -> None:
    plan, _ = a_plan(2, took=took)
    take(plan, SubmitRow, 1)
    plan.accepted(1, NOW)
    plan.halt()
    plan.hurry(NOW)
    take(plan, PollRow, 1)
    plan.ended(1, NOW, 10)
    assert plan.give_up_overdue(NOW) == []
    assert plan.next(NOW) == Done()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_pause_of_the_submissions_is_not_the_end(stopped: bool) -> None:
    plan, _ = a_plan(2, took=1.0)
    take(plan, SubmitRow, 1)
    plan.put_back(1, NOW + TIMEOUT)
    if stopped:
        plan.halt()
    assert given_up_after(plan) == (LEAST_PATIENCE if stopped else TIMEOUT)


def test_a_row_that_was_to_be_submitted_again_is_withdrawn() -> None:
    budget = Budget(None)
    plan = Plan(2, budget, Brake(proven=True), expects_deliveries=True)
    plan.add([0, 1])
    take(plan, SubmitRow, 0)
    plan.submit_again(0)
    plan.delivered(0, NOW)
    assert (plan.ready, plan.rows_left, plan.in_flight, budget.in_flight) == (1, 1, 1, 1)
    plan.hint(0)
    take(plan, PollRow, 0)
    plan.ended(0, NOW, 10)
    take(plan, SubmitRow, 1)
    plan.ended(1, NOW, 10)
    assert plan.next(NOW) == Done()
    assert budget.committed == 20


def test_it_holds_up_no_other_row() -> None:
    plan, _ = a_plan(3, most=1, cap=1000)
    assert plan.in_flight == 0
    take(plan, SubmitRow, 1)


def test_it_is_not_done_while_a_row_is_ambiguous() -> None:
    plan, _ = a_plan(1)
    assert plan.next(NOW) == Rest(None)


def test_what_it_may_cost_is_reserved_and_settled_by_its_delivery() -> None:
    plan, budget = a_plan(1, took=1.0)
    assert (budget.spent, budget.committed, budget.in_flight) == (10, 20, 0)
    plan.delivered(0, NOW)
    assert (budget.committed, budget.in_flight) == (20, 1)
    plan.hint(0)
    take(plan, PollRow, 0)
    plan.ended(0, NOW, 30)
    assert (budget.spent, budget.committed, budget.in_flight) == (40, 40, 0)
    assert plan.next(NOW) == Done()


def test_a_budget_that_it_uses_up_stops_the_batch_once_it_is_given_up() -> None:
    plan, _ = a_plan(9, took=1.0, cap=45)
    assert not plan.out_of_budget(), "its delivery tells the cost"
    assert given_up_after(plan) == LEAST_PATIENCE
    assert plan.out_of_budget()


@pytest.mark.parametrize("delivered", [True, False])
def test_rows_that_an_earlier_try_left_ambiguous(delivered: bool) -> None:
    budget = Budget(None)
    plan = Plan(2, budget, Brake(proven=True), expects_deliveries=True)
    plan.inherit(1, NOW)
    assert plan.rows_left == 1
    assert plan.awaiting == 1
    if delivered:
        plan.delivered(1, NOW)
        plan.hint(1)
        take(plan, PollRow, 1)
        return
    assert plan.resubmit_ambiguous() == [1]
    assert plan.rows_left == 2
    plan.add([1])
    take(plan, SubmitRow, 1)
    plan.ended(1, NOW, 10)
    assert budget.committed == 20, "it may have been paid for before"


@pytest.mark.parametrize(("proven", "seconds"), [(False, SOON_SECONDS), (True, SELDOM_SECONDS)])
def test_until_a_run_was_understood_its_delivery_is_not_waited_for_long(proven: bool, seconds: float) -> None:
    plan = Plan(1, Budget(None), Brake(proven=proven), expects_deliveries=True)
    plan.add([0])
    take(plan, SubmitRow, 0)
    plan.accepted(0, NOW)
    step = plan.next(NOW)
    assert isinstance(step, Rest)
    assert step.seconds == pytest.approx(seconds)

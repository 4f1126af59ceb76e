"""What the next request is spent on, one step at a time."""

from __future__ import annotations

import math

import pytest

from airflow_provider_bitscale.batch.plan.brake import FIRST_IN_FLIGHT, IN_FLIGHT_PER_ENDED, Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.scheduler import Done, PollRow, Rest, SubmitRow
from airflow_provider_bitscale.runs.run_times import FIRST_POLL
from tests.support.numbered import NOW, Plan, take


def a_plan(rows: int, *, in_flight: int = 0, max_in_flight: int | None = None) -> Plan:
    """A scheduler whose rows are all ready, but the first ones, whose runs go on since NOW."""
    plan = Plan(rows, Budget(None), Brake(max_in_flight, proven=True))
    plan.add(list(range(rows)))
    for row in range(in_flight):
        take(plan, SubmitRow, row)
        plan.accepted(row, NOW)
    return plan


def rest(plan: Plan, now: float = NOW) -> float:
    """The seconds that the scheduler rests for."""
    step = plan.next(now)
    assert isinstance(step, Rest)
    return math.inf if step.seconds is None else step.seconds


def test_without_rows_all_is_done() -> None:
    assert Plan(0, Budget(None), Brake(proven=True)).next(NOW) == Done()
    plan = Plan(3, Budget(None), Brake(proven=True))
    plan.skip(range(3))
    assert plan.next(NOW) == Done()


def test_nothing_is_submitted_before_it_is_ready() -> None:
    plan = Plan(2, Budget(None), Brake(proven=True))
    assert plan.next(NOW) == Rest(None)
    plan.add([1])
    take(plan, SubmitRow, 1)
    assert plan.next(NOW) == Rest(None)
    plan.add([0])
    take(plan, SubmitRow, 0)
    assert plan.in_flight == 2


def test_a_row_from_its_submission_to_its_end() -> None:
    plan = a_plan(1)
    take(plan, SubmitRow, 0)
    assert plan.next(NOW) == Rest(None), "the answer is on its way"
    assert plan.age(0, NOW + 3) == 3
    plan.accepted(0, NOW + 0.1)
    assert rest(plan, NOW + 0.1) == pytest.approx(FIRST_POLL - 0.1)
    take(plan, PollRow, 0, NOW + FIRST_POLL)
    assert plan.next(NOW + 50) == Rest(None), "it is not polled twice at once"
    plan.not_ended(0, NOW + 1.1)
    assert plan.age(0, NOW + 3) == 3
    assert 0 < rest(plan, NOW + 1.1) < 1
    take(plan, PollRow, 0, NOW + 3)
    plan.ended(0, NOW + 3, 1.0)
    assert plan.next(NOW + 3) == Done()
    assert plan.known == 1


def test_no_more_are_in_flight_than_may_be() -> None:
    plan = a_plan(9, max_in_flight=2)
    take(plan, SubmitRow, 0)
    take(plan, SubmitRow, 1)
    plan.accepted(0, NOW)
    assert rest(plan) > 0
    take(plan, PollRow, 0, NOW + 10)
    plan.ended(0, NOW + 10, 1)
    take(plan, SubmitRow, 2, NOW + 10)
    assert not isinstance(plan.next(NOW + 10), SubmitRow)


def test_the_first_runs_show_whether_they_come_to_anything() -> None:
    plan = a_plan(2000, in_flight=FIRST_IN_FLIGHT)
    assert not isinstance(plan.next(NOW), SubmitRow)
    take(plan, PollRow, 0, NOW + 5)
    plan.ended(0, NOW + 5, 1)
    submitted = 0
    while isinstance(step := plan.next(NOW + 5), SubmitRow):
        plan.begin(step, NOW + 5)
        submitted += 1
    assert submitted == 1 + IN_FLIGHT_PER_ENDED


def test_the_budget_is_asked_before_each_submission() -> None:
    budget = Budget(100)
    plan = Plan(9, budget, Brake(proven=True))
    plan.add(list(range(9)))
    take(plan, SubmitRow, 0)
    assert plan.next(NOW) == Rest(None), "it is not known what a run costs"
    assert plan.expected_credits is None
    plan.ended(0, NOW, 60)
    assert plan.expected_credits == 60
    assert plan.out_of_budget()
    assert plan.halt() == list(range(1, 9))
    assert not plan.out_of_budget()
    assert plan.next(NOW) == Done()


def test_a_budget_is_not_used_up_while_something_may_free_it() -> None:
    plan = Plan(2, Budget(100), Brake(proven=True))
    assert not plan.out_of_budget(), "there is no row to submit"
    plan.add([0, 1])
    take(plan, SubmitRow, 0)
    assert not plan.out_of_budget()
    plan.refused(0)
    assert not plan.out_of_budget()
    take(plan, SubmitRow, 1)


def test_after_a_stop_nothing_is_submitted_and_what_is_in_flight_is_collected() -> None:
    plan = a_plan(5, in_flight=2)
    assert plan.halt() == [2, 3, 4]
    assert plan.halt() == []
    assert plan.stopped
    plan.add([2])
    for row in (0, 1):
        take(plan, PollRow, row, NOW + 10)
        plan.ended(row, NOW + 10, 1)
    assert plan.next(NOW + 10) == Done()


def test_rows_that_were_not_processed_are_submitted_first_after_the_longest_pause() -> None:
    plan = a_plan(3)
    take(plan, SubmitRow, 0)
    take(plan, SubmitRow, 1)
    plan.put_back(0, NOW + 7)
    plan.put_back(1, NOW + 3)
    assert plan.rows_left == 3
    assert rest(plan) == 7
    assert rest(plan, NOW + 6) == 1
    for row in (1, 0, 2):
        take(plan, SubmitRow, row, NOW + 7)


def test_while_submissions_pause_runs_are_polled() -> None:
    plan = a_plan(3, in_flight=1)
    take(plan, SubmitRow, 1)
    plan.put_back(1, NOW + 60)
    assert rest(plan) == pytest.approx(FIRST_POLL)
    take(plan, PollRow, 0, NOW + FIRST_POLL)


def test_a_ambiguous_row_is_submitted_again_after_the_others() -> None:
    budget = Budget(None)
    plan = Plan(2, budget, Brake(proven=True))
    plan.add([0, 1])
    take(plan, SubmitRow, 0)
    plan.submit_again(0)
    assert (budget.spent, budget.in_flight) == (0, 0)
    take(plan, SubmitRow, 1)
    take(plan, SubmitRow, 0)
    assert plan.rows_left == 0


@pytest.mark.parametrize(("kind", "known"), [("refused", 1), ("given_up", 0)])
def test_after_a_submission_that_comes_to_nothing_nothing_is_waited_for(kind: str, known: int) -> None:
    plan = a_plan(1)
    take(plan, SubmitRow, 0)
    getattr(plan, kind)(0)
    assert (plan.known, plan.in_flight) == (known, 0), "what became of it is known, or not"
    assert plan.next(NOW) == Done()


def test_a_run_that_is_given_up_is_settled_and_keeps_its_reserve() -> None:
    budget = Budget(None)
    plan = Plan(2, budget, Brake(proven=True))
    plan.add([0, 1])
    for row in (0, 1):
        take(plan, SubmitRow, row)
        plan.accepted(row, NOW)
    take(plan, PollRow, 0, NOW + 10)
    plan.ended(0, NOW + 10, 5)
    take(plan, PollRow, 1, NOW + 10)
    plan.given_up(1)
    assert plan.next(NOW + 10) == Done()
    assert plan.expected_credits == 10


def test_runs_of_an_earlier_try_are_polled_at_once_and_then_less_and_less() -> None:
    plan = Plan(3, Budget(None), Brake(proven=True))
    for row in (0, 1):
        plan.resume(row, NOW)
    assert (plan.rows_left, plan.in_flight) == (1, 2)
    take(plan, PollRow, 0)
    take(plan, PollRow, 1)
    plan.ended(0, NOW + 0.1, 1)
    polls, now = [], NOW + 0.05
    while now < NOW + 60:
        plan.not_ended(1, now)
        now += rest(plan, now)
        take(plan, PollRow, 1, now)
        polls.append(now - NOW)
        now += 0.05
    assert len(polls) <= 10
    assert polls[0] >= FIRST_POLL
    assert len(plan.polls.run_times) == 0, "it is not known when they began"


def test_a_run_is_left_alone_for_as_long_as_asked() -> None:
    plan = a_plan(1, in_flight=1)
    take(plan, PollRow, 0, NOW + 1)
    plan.not_ended(0, NOW + 1, 30.0)
    assert rest(plan, NOW + 1) == pytest.approx(30)
    take(plan, PollRow, 0, NOW + 31)


def test_a_run_is_left_alone_when_eager_and_patient_polls_alternate() -> None:
    plan = a_plan(3, in_flight=2, max_in_flight=2)
    for length in (4.0, 4.0, 4.0, 4.0, 10.0) * 20:
        plan.polls.run_times.add(0.0, length, length)
    now = NOW + 5
    take(plan, PollRow, 0, now)
    take(plan, PollRow, 1, now)
    plan.ended(0, now, 1)
    take(plan, SubmitRow, 2, now)
    plan.not_ended(1, now, 30.0)
    assert rest(plan, now) == pytest.approx(30)


@pytest.mark.parametrize("resumed", [False, True])
def test_at_its_timeout_a_run_is_polled_in_any_case(resumed: bool) -> None:
    plan = Plan(1, Budget(None), Brake(proven=True), timeout=10.0)
    for _ in range(30):
        plan.polls.run_times.add(0.0, 100.0, 100.0)
    if resumed:
        plan.resume(0, NOW)
        take(plan, PollRow, 0)
        plan.not_ended(0, NOW + 9)
    else:
        plan.add([0])
        take(plan, SubmitRow, 0)
        plan.accepted(0, NOW)
    assert rest(plan, NOW + 9.9) == pytest.approx(0.1)
    take(plan, PollRow, 0, NOW + 10)


def test_when_time_is_up_each_run_is_due_once() -> None:
    plan = a_plan(6, in_flight=4, max_in_flight=5)
    for _ in range(30):
        plan.polls.run_times.add(0.0, 100.0, 100.0)
    take(plan, SubmitRow, 4)
    take(plan, PollRow, 0, NOW + 102)
    take(plan, PollRow, 1, NOW + 102)
    plan.not_ended(1, NOW + 102, 30.0)
    plan.halt()
    plan.hurry(NOW + 102)
    plan.accepted(4, NOW + 102)
    plan.not_ended(0, NOW + 102, 5.0)
    for row in (2, 3, 4):
        take(plan, PollRow, row, NOW + 102)
    assert rest(plan, NOW + 102) == pytest.approx(5)
    take(plan, PollRow, 0, NOW + 107)
    assert rest(plan, NOW + 107) == pytest.approx(25)
    take(plan, PollRow, 1, NOW + 132)
    assert plan.next(NOW + 132) == Rest(None)


def test_runs_that_are_left_as_they_are_are_not_polled_any_more() -> None:
    plan = a_plan(4, in_flight=3)
    take(plan, PollRow, 0, NOW + 5)
    plan.halt()
    plan.leave(NOW + 5)
    assert plan.in_flight == 1
    assert plan.next(NOW + 5) == Rest(None), "the answer to a poll is on its way"
    plan.ended(0, NOW + 5, 1)
    assert plan.next(NOW + 5) == Done()


def test_how_many_requests_are_left() -> None:
    plan = a_plan(10, in_flight=3)
    take(plan, SubmitRow, 3)
    assert plan.requests_left(1) == 3 + 1 + 2 * 6
    assert plan.requests_left(0) == 3 + 6
    plan.halt()
    assert plan.requests_left(1) == 4


@pytest.mark.parametrize(("rows", "kind"), [(100, SubmitRow), (1000, PollRow)])
def test_near_the_end_rows_go_first(rows: int, kind: type) -> None:
    """Once all that is left can be polled while the last runs take their twenty seconds."""
    plan = a_plan(rows, in_flight=50)
    for length in [3.0] * 60 + [20.0] * 10:
        plan.polls.run_times.add(0.0, length, length)
    assert isinstance(plan.next(NOW + 4), kind)

"""Whole batches through the scheduler: answers of all kinds in any order, and under a virtual clock."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.scheduler import Done, GiveUp, OutOfBudget, PollRow, SubmitRow
from tests.support.numbered import Plan
from tests.support.simulation import lognormal_with_stragglers, simulate


@pytest.mark.parametrize("deliveries", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_every_row_ends_once_and_no_limit_is_broken(seed: int, deliveries: bool) -> None:
    """Answers of all kinds, in any order, with a stop or a deadline somewhere in half of the batches."""
    rng = random.Random(seed)
    rows, resumed, most, cap = 300, 40, rng.choice((None, 7, 60)), rng.choice((None, 150.0))
    budget = Budget(cap)
    timeout = rng.choice((math.inf, 20.0))
    plan = Plan(rows, budget, Brake(most, proven=True), timeout, expects_deliveries=deliveries)
    events = {rng.randrange(50, 600): rng.choice(("stop", "hurry"))} if seed % 2 else {}
    submitted: set[int] = set()
    ended: Counter[int] = Counter()
    given_up: set[int] = set()
    posting: set[int] = set()
    polling: set[int] = set()
    watched = set(range(resumed))
    waiting = list(range(resumed, rows))
    ready: set[int] = set()
    ambiguous: set[int] = set()
    for row in watched:
        plan.resume(row, 0.0)
    now, steps = 0.0, 0
    while not isinstance(step := plan.next(now), Done):
        steps += 1
        assert steps < 100_000
        if event := events.get(steps):
            ready -= set(plan.halt())
            if event == "hurry":
                plan.hurry(now)
            continue
        if isinstance(step, OutOfBudget):
            assert cap is not None
            ready -= set(plan.halt())
            continue
        if waiting and not plan.stopped and rng.random() < 0.2:
            group, waiting = waiting[:10], waiting[10:]
            plan.add(group)
            ready |= set(group)
        for row in plan.give_up_overdue(now) if isinstance(step, GiveUp) else []:
            ambiguous.remove(row)
            ended[row] += 1
            given_up.add(row)
        if deliveries and (watched or ambiguous) and rng.random() < 0.1:
            row = rng.choice(sorted(watched | ambiguous))
            if row in ambiguous:
                plan.delivered(row, now)
                ambiguous.remove(row)
                watched.add(row)
            plan.hint(row)
            if rng.random() < 0.5:
                # It is trusted.
                plan.ended(row, now, 1.0, 1.5)
                watched.remove(row)
                ended[row] += 1
        elif isinstance(step, SubmitRow) and rng.random() < 0.8:
            assert step.row.number in ready
            assert step.row.number not in posting | watched | polling
            assert not plan.stopped
            assert budget.allows()
            assert most is None or plan.in_flight < max(most, resumed)
            plan.begin(step, now)
            ready.discard(step.row.number)
            posting.add(step.row.number)
            submitted.add(step.row.number)
        elif isinstance(step, PollRow) and rng.random() < 0.8:
            assert step.row.number in watched
            plan.begin(step, now)
            watched.discard(step.row.number)
            polling.add(step.row.number)
        elif (posting or polling) and rng.random() < 0.9:
            row = rng.choice(sorted(posting | polling))
            posted = row in posting
            (posting if posted else polling).discard(row)
            after_post = ("on", "on", "end", "lost" if deliveries else "up", "back", "again")
            kind = rng.choice(after_post if posted else ("on", "end", "end", "up"))
            if kind == "end":
                plan.ended(row, now, rng.choice((1.0, 1.0, None)) if cap is None else 1.0, 1.5)
                ended[row] += 1
            elif kind == "up" and (posted or rng.random() < 0.1):
                plan.given_up(row)
                ended[row] += 1
                given_up.add(row)
            elif kind == "lost":
                plan.lost(row, now)
                ambiguous.add(row)
            elif kind == "back" and not plan.stopped:
                plan.put_back(row, now + rng.choice((0.0, 3.0)))
                submitted.discard(row)
                ready.add(row)
            elif kind == "again" and not plan.stopped:
                plan.submit_again(row)
                submitted.discard(row)
                ready.add(row)
            else:
                if posted:
                    plan.accepted(row, now)
                else:
                    plan.not_ended(row, now, rng.choice((0.0, 2.0)))
                watched.add(row)
        else:
            now += rng.choice((0.01, 0.1, 1.0))
        assert plan.in_flight == len(posting) + len(watched) + len(polling)
        assert plan.ready == len(ready)
    assert set(ended.values()) <= {1}
    assert set(ended) == submitted | set(range(resumed))
    assert plan.known == len(set(ended) - given_up)
    assert budget.in_flight == 0
    if cap is not None:
        assert budget.spent <= cap
    elif not plan.stopped:
        assert len(ended) == rows


Length = Callable[[random.Random], float]


def five(_: random.Random) -> float:
    return 5.0


# The longest run; requests a row that it may take; and whether lengths are reported.
LENGTHS: dict[str, tuple[Length, float, float, bool]] = {
    "two to ten seconds, some a minute": (lognormal_with_stragglers, 60, 2.13, True),
    "the same, lengths not reported": (lognormal_with_stragglers, 60, 2.13, False),
    "all the same": (five, 5, 2.02, True),
    "all the same, not reported": (five, 5, 2.02, False),
    "exponential": (lambda rng: min(40, rng.expovariate(1 / 5)), 40, 2.15, True),
    "exponential, not reported": (lambda rng: min(40, rng.expovariate(1 / 5)), 40, 2.15, False),
    "shorter than a poll": (lambda _: 0.3, 0.3, 2.01, True),
}


@pytest.mark.parametrize(("length", "longest", "requests", "reported"), LENGTHS.values(), ids=LENGTHS.keys())
def test_a_batch_is_as_fast_as_the_limit_allows(
    length: Length, longest: float, requests: float, reported: bool
) -> None:
    report = simulate(600, 5, length, reported=reported)
    assert report.submits == 600
    assert report.submits + report.polls <= requests * 600
    assert report.wall <= 1.08 * (2 * 600 / 5 + longest)


def test_a_batch_of_five_thousand_rows() -> None:
    report = simulate(5000, 50, lognormal_with_stragglers)
    assert report.submits + report.polls <= 2.1 * 5000
    assert report.wall <= 1.08 * (2 * 5000 / 50 + 60)
    assert report.idle <= 0.05 * report.last_submit


def test_a_batch_with_few_runs_in_flight_goes_as_fast_as_they_do() -> None:
    report = simulate(200, 50, five, max_in_flight=20)
    assert report.most_in_flight == 20
    assert report.wall <= 1.2 * 200 / 20 * 5
    assert report.submits + report.polls <= 4 * 200

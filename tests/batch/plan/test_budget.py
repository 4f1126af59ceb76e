"""A cap on credits: one step at a time, and with hundreds of runs in flight."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from airflow_provider_bitscale.batch.plan.budget import Budget
from tests.support.simulation import lognormal_with_stragglers, simulate


def submitted_at_once(budget: Budget, most: int = 10_000) -> int:
    """How many runs are let through before one ends."""
    for count in range(most):
        if not budget.allows():
            return count
        budget.reserve()
    return most


def after(budget: Budget, *costs: float | None) -> Budget:
    """The budget, after runs with these costs, one after another."""
    for cost in costs:
        budget.reserve()
        budget.settle(cost)
    return budget


def test_without_a_cap_all_is_allowed() -> None:
    assert submitted_at_once(Budget(None, spent=1e9)) == 10_000


@pytest.mark.parametrize(
    ("cap", "spent", "unknown", "allowed"),
    [(100, 0, 0, 1), (100, 99, 0, 1), (100, 100, 0, 0), (100, 250, 0, 0), (0, 0, 0, 0), (100, 0, 7, 1)],
)
def test_while_no_cost_is_known_one_run_goes_ahead(
    cap: float, spent: float, unknown: int, allowed: int
) -> None:
    budget = Budget(cap, spent, unknown)
    assert budget.expected is None
    assert budget.committed == spent
    assert submitted_at_once(budget) == allowed


def test_while_no_cost_is_known_few_runs_are_lost_track_of() -> None:
    inherited = 7
    budget = Budget(1000, 0, inherited)
    budget.inherit()
    for unknown in range(20):
        assert budget.allows() is (unknown < 10)
        budget.reserve()
        budget.settle(None)
    budget.recover()
    budget.settle(5)
    assert budget.allows()


def test_runs_of_an_earlier_try_are_waited_for_while_no_cost_is_known() -> None:
    budget = Budget(1000)
    for _ in range(3):
        budget.reserve()
    assert not budget.allows()
    budget.settle(5)
    assert budget.allows()


def test_runs_that_cost_nothing_let_more_through_but_not_all() -> None:
    assert submitted_at_once(after(Budget(100), *[0.0] * 30)) == 31


@pytest.mark.parametrize(
    ("seen", "least", "most"), [(0, 1, 1), (1, 80, 90), (10, 90, 100), (100, 165, 175), (900, 95, 97)]
)
def test_the_more_has_been_seen_the_more_is_let_through(seen: int, least: int, most: int) -> None:
    """Of a thousand credits, with runs that cost one each."""
    budget = after(Budget(1000), *[1.0] * seen)
    assert least <= submitted_at_once(budget) <= most


def test_a_run_that_was_not_started_frees_its_reserve() -> None:
    budget = after(Budget(20), *[1.0] * 10)
    first = submitted_at_once(budget)
    for _ in range(first):
        budget.release()
    assert submitted_at_once(budget) == first > 1
    assert budget.spent == 10


def test_a_run_whose_cost_is_not_known_keeps_its_reserve() -> None:
    known = after(Budget(1500), *[1.0] * 900)
    unknown = after(Budget(1500), *[1.0] * 900, *[None] * 100)
    told_before = after(Budget(1500, unknown=100), *[1.0] * 900)
    assert unknown.spent == known.spent == 900
    assert unknown.committed == told_before.committed == 1000
    assert submitted_at_once(unknown) == submitted_at_once(told_before) == submitted_at_once(known) - 100


def test_what_earlier_tries_spent_counts() -> None:
    fresh = after(Budget(600), *[1.0] * 400)
    later = after(Budget(1000, spent=400), *[1.0] * 400)
    assert later.committed == 800
    assert submitted_at_once(later) == submitted_at_once(fresh) > 100


def test_expected_is_what_runs_cost_on_average() -> None:
    budget = after(Budget(100), 1.0, 3.0, 0.0)
    assert budget.expected == pytest.approx(4 / 3)
    budget.reserve()
    assert budget.committed == pytest.approx(4 + 4 / 3)


# A cap that takes a quarter to a half of the rows, which are two thousand, and the highest cost.
COSTS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "all the same": (lambda _: 3.0, 3000),
    "even": (lambda rng: rng.uniform(1, 10), 4000),
    "whole numbers": (lambda rng: rng.randint(1, 4), 1500),
    "nothing or two": (lambda rng: rng.choice((0.0, 2.0)), 900),
    "log-normal": (lambda rng: rng.lognormvariate(0, 0.5), 600),
    "one in twenty is ten times as dear": (lambda rng: 10.0 if rng.random() < 0.05 else 1.0, 1000),
    "one in fifty is fifty times as dear": (lambda rng: 50.0 if rng.random() < 0.02 else 1.0, 1500),
}


@pytest.mark.parametrize(("cost", "cap"), COSTS.values(), ids=COSTS.keys())
def test_a_cap_holds_with_many_in_flight_and_is_nearly_used_up(
    cost: Callable[[random.Random], float], cap: float
) -> None:
    budget = Budget(cap)
    report = simulate(2000, 50, lognormal_with_stragglers, budget=budget, cost=cost)
    assert 0.9 * cap <= budget.spent <= cap
    assert budget.in_flight == 0
    assert report.most_in_flight > 150


@pytest.mark.parametrize(("cost", "cap"), COSTS.values(), ids=COSTS.keys())
@pytest.mark.parametrize("most_in_flight", [20, 250, 1000])
def test_a_cap_holds_over_many_seeds(
    cost: Callable[[random.Random], float], cap: float, most_in_flight: int
) -> None:
    """As many are submitted as may be, and end in any order: no scheduler holds the budget back."""
    for seed in range(20):
        rng = random.Random(seed)
        budget, in_flight = Budget(cap), 0
        while True:
            while in_flight < most_in_flight and budget.allows():
                budget.reserve()
                in_flight += 1
            if not in_flight:
                break
            budget.settle(cost(rng))
            in_flight -= 1
        assert 0.9 * cap <= budget.spent <= cap, f"seed {seed}"

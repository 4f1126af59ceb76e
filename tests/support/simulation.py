"""A batch under a virtual clock: the scheduler, a rate limit of one slot after another, and no network."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.scheduler import Done, GiveUp, OutOfBudget, Rest, SubmitRow
from tests.support.numbered import Plan

ROUND_TRIP = 0.05


def lognormal_with_stragglers(rng: random.Random) -> float:
    """Two to ten seconds, mostly four and a half; one in twenty takes a minute."""
    if rng.random() < 0.05:
        return 60.0
    return min(10.0, max(2.0, rng.lognormvariate(math.log(math.sqrt(20)), math.log(math.sqrt(5)) / 2)))


@dataclass
class Report:
    """What a simulated batch came to; times in virtual seconds."""

    wall: float = 0.0
    submits: int = 0
    polls: int = 0
    idle: float = 0.0
    last_submit: float = 0.0
    most_in_flight: int = 0
    polls_of: Counter[int] = field(default_factory=Counter)


def simulate(
    rows: int,
    per_second: float,
    length: Callable[[random.Random], float],
    *,
    budget: Budget | None = None,
    cost: Callable[[random.Random], float] = lambda _: 1.0,
    max_in_flight: int | None = None,
    seed: int = 0,
    reported: bool = True,
    horizon: float = 1e6,
) -> Report:
    """Run a batch whose runs take what ``length`` draws, at a limit of ``per_second`` requests."""
    rng = random.Random(seed)
    plan = Plan(rows, budget or Budget(None), Brake(max_in_flight, proven=True))
    report = Report()
    answers: list[tuple[float, int, bool]] = []
    ends: dict[int, float] = {}
    began: dict[int, float] = {}
    added, now, slot = 0, 0.0, 0.0
    while now < horizon:
        while answers and answers[0][0] <= now:
            at, row, submitted = heapq.heappop(answers)
            if submitted:
                plan.accepted(row, at)
            elif ends[row] <= at - ROUND_TRIP / 2:
                plan.ended(row, at, cost(rng), math.ceil(ends[row] - began[row]) if reported else None)
            else:
                plan.not_ended(row, at)
        if plan.ready < 50 and added < rows:
            plan.add(list(range(added, min(rows, added + 50))))
            added += min(50, rows - added)
        step = plan.next(now)
        if isinstance(step, (Done, OutOfBudget)):
            break
        report.most_in_flight = max(report.most_in_flight, plan.in_flight)
        if isinstance(step, Rest):
            until = min([answers[0][0]] if answers else [], default=math.inf)
            until = min(until, now + step.seconds if step.seconds is not None else math.inf)
            until = max(until, now + 1e-6)
            report.idle += until - now
            now = until
            continue
        if now < slot:
            now = min(slot, answers[0][0]) if answers and answers[0][0] > now else slot
            continue
        assert not isinstance(step, GiveUp), "no delivery is waited for"
        plan.begin(step, now)
        slot = max(slot, now - 1 / per_second) + 1 / per_second
        if isinstance(step, SubmitRow):
            report.submits += 1
            report.last_submit = now
            began[step.row.number] = now
            ends[step.row.number] = now + length(rng)
        else:
            report.polls += 1
            report.polls_of[step.row.number] += 1
        heapq.heappush(answers, (now + ROUND_TRIP, step.row.number, isinstance(step, SubmitRow)))
    report.wall = now
    return report

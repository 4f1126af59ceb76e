"""How a batch goes, as a line of the log and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import ServerError
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.scheduler import SubmitRow
from airflow_provider_bitscale.batch.progress import Progress, hindrance_of
from airflow_provider_bitscale.batch.row_result import STATUSES
from tests.support.numbered import Plan, take

HALFWAY: dict[str, Any] = {
    "rows": 10_000,
    "counts": {"succeeded": 4_000, "failed": 12, "unknown": 1},
    "in_flight": 250,
    "credits_spent": 36_108,
    "runs_without_credits": 0,
    "credits_expected": 38_358.4,
    "requests_per_second": 48.04,
    "requests_left": 11_724,
    "limit_per_second": 50.0,
    "stopped_by": None,
    "hindrance": None,
    "error": None,
}

LINES: dict[str, tuple[dict[str, Any], str]] = {
    "halfway": (
        {},
        (
            "4,013 of 10,000 rows (4,000 succeeded, 12 failed, 1 unknown); 250 in flight; "
            "48.0 requests/s of 50; 36,108 credits spent, 38,358 expected; about 4 min 4 s left"
        ),
    ),
    "at the start": (
        {
            "counts": {},
            "in_flight": 0,
            "credits_spent": 0,
            "credits_expected": None,
            "requests_per_second": 0.0,
            "limit_per_second": None,
        },
        "0 of 10,000 rows; 0 in flight; 0.0 requests/s; 0 credits spent",
    ),
    "some costs said": (
        {"credits_expected": None, "runs_without_credits": 1_013, "requests_per_second": 0.0},
        (
            "4,013 of 10,000 rows (4,000 succeeded, 12 failed, 1 unknown); 250 in flight; "
            "0.0 requests/s of 50; 36,108 credits spent, 1,013 runs did not tell theirs"
        ),
    ),
    "no cost said": (
        {
            "credits_spent": 0,
            "credits_expected": None,
            "runs_without_credits": 4_001,
            "requests_per_second": 0.0,
        },
        (
            "4,013 of 10,000 rows (4,000 succeeded, 12 failed, 1 unknown); 250 in flight; "
            "0.0 requests/s of 50; 4,001 runs did not tell what they cost"
        ),
    ),
    "stopped": (
        {"stopped_by": "max_credits", "counts": {"succeeded": 5, "not_submitted": 7}, "in_flight": 2},
        (
            "5 of 10,000 rows (5 succeeded, 7 not_submitted); 2 in flight; 48.0 requests/s of 50; "
            "36,108 credits spent, 38,358 expected; no more are submitted (max_credits)"
        ),
    ),
    "stopped by an error": (
        {"error": "503: overloaded", "counts": {"succeeded": 5}, "in_flight": 2},
        (
            "5 of 10,000 rows (5 succeeded); 2 in flight; 48.0 requests/s of 50; "
            "36,108 credits spent, 38,358 expected; no more are submitted (503: overloaded)"
        ),
    ),
    "out of reach": (
        {"hindrance": "cannot reach BitScale since 12:00:00 UTC (503)", "counts": {"succeeded": 5}},
        (
            "5 of 10,000 rows (5 succeeded); 250 in flight; 48.0 requests/s of 50; "
            "36,108 credits spent, 38,358 expected; cannot reach BitScale since 12:00:00 UTC (503)"
        ),
    ),
    "done": (
        {"counts": {"succeeded": 9_000, "duplicate": 1_000}, "in_flight": 0, "credits_expected": 36_108},
        (
            "10,000 of 10,000 rows (9,000 succeeded, 1,000 duplicate); 0 in flight; 48.0 requests/s of 50; "
            "36,108 credits spent, 36,108 expected"
        ),
    ),
}


@pytest.mark.parametrize(("changes", "line"), LINES.values(), ids=LINES.keys())
def test_a_line_for_the_log(changes: dict[str, Any], line: str) -> None:
    assert str(Progress(**{**HALFWAY, **changes})) == line


@pytest.mark.parametrize(
    ("credits", "said"), [(0, "0"), (1.5, "1.5"), (100, "100"), (1_234_567, "1,234,567"), (0.1 + 0.2, "0.3")]
)
def test_credits_are_given_to_the_last_digit_that_counts(credits: float, said: str) -> None:
    assert f"; {said} credits spent" in str(Progress(**{**HALFWAY, "credits_spent": credits}))


@pytest.mark.parametrize(
    ("per_second", "said"),
    [(1000, "about 12 s left"), (100, "about 1 min 57 s left"), (1, "about 3 h 15 min left")],
)
def test_the_time_left(per_second: float, said: str) -> None:
    progress = Progress(**{**HALFWAY, "requests_per_second": per_second})
    assert progress.seconds_left == 11_724 / per_second
    assert said in str(progress)


def test_how_long_nothing_takes_is_not_known() -> None:
    for changes in ({"requests_per_second": 0.0}, {"hindrance": "x"}, {"error": "x"}):
        assert Progress(**{**HALFWAY, **changes}).seconds_left is None


def a_plan(rows: int, cap: float | None = None, *, proven: bool = True) -> Plan:
    """A scheduler of which one row is on its way, and the others are ready."""
    plan = Plan(rows, Budget(cap), Brake(proven=proven))
    plan.add(range(rows))
    take(plan, SubmitRow, 0)
    return plan


def test_what_holds_a_batch_up() -> None:
    def said(plan: Plan) -> str | None:
        return hindrance_of(plan, 1001.0, 1_713_182_401.0)

    assert said(a_plan(5)) is None
    assert said(a_plan(5, cap=100)) == "learning what a row costs: 1 in flight"
    assert said(a_plan(5, proven=False)) == "first run not understood yet: 1 in flight"
    assert said(a_plan(1, proven=False)) is None, "no row waits for it"
    plan = a_plan(5, proven=False)
    plan.halt()
    assert said(plan) is None
    for _ in range(2):
        error = ServerError("overloaded", status=503)
        error.left_at = 1000.0
        plan.outage.note(error, 1000.0)
    assert said(plan) == "cannot reach BitScale since 12:00:00 UTC (503: overloaded)"


def test_rows_that_are_not_submitted_are_not_settled() -> None:
    assert Progress(**{**HALFWAY, "counts": dict.fromkeys(STATUSES, 1)}).settled == len(STATUSES) - 1


def test_as_json() -> None:
    said = json.loads(json.dumps(Progress(**HALFWAY).to_json(), allow_nan=False))
    assert said == {**HALFWAY, "settled": 4_013, "seconds_left": 11_724 / 48.04}

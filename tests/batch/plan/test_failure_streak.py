"""Requests that fail, one after another."""

from __future__ import annotations

from airflow_provider_bitscale.batch.plan.outage import FailureStreak


def after(*times: float) -> FailureStreak:
    """A failure at each of these times, of a request that had just left."""
    streak = FailureStreak()
    for now in times:
        assert streak.failed(now, now)
    return streak


def test_a_streak_lasts_from_its_first_failure() -> None:
    assert not FailureStreak().lasts(300.0, 1e9)
    assert not after(1000.0).lasts(300.0, 1300.0)
    assert after(1000.0, 1250.0).lasts(300.0, 1300.1)


def test_a_success_in_between_makes_it_forgotten() -> None:
    streak = after(1000.0, 1100.0)
    streak.reset()
    assert streak.failures == 0
    assert streak.failed(1050.0, 1250.0), "what is left of it does not count against what comes later"
    assert not streak.lasts(300.0, 1300.1)


def test_requests_that_were_under_way_together_count_once() -> None:
    streak = after(1000.0)
    assert not streak.failed(999.0, 1001.0)
    assert streak.failures == 1
    assert streak.failed(1000.5, 1001.5)

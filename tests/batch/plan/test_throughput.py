"""How often something happens."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch.plan.throughput import Rate

NOW = 1000.0


def test_what_never_happened_has_no_rate() -> None:
    assert Rate().per_second(NOW) == 0


def test_the_last_few_seconds_count() -> None:
    rate = Rate()
    for number in range(100):
        rate.count(NOW + number / 50)
    assert rate.per_second(NOW + 2) == pytest.approx(50, rel=0.02)
    assert 0 < rate.per_second(NOW + 6) < 50
    assert rate.per_second(NOW + 60) == 0


def test_many_that_come_together_are_no_high_rate() -> None:
    rate = Rate()
    for _ in range(40):
        rate.count(NOW)
    assert rate.per_second(NOW) == 40
    for _ in range(40):
        rate.count(NOW + 60)
    assert rate.per_second(NOW + 60) == 8, "nothing happened in the seconds before"

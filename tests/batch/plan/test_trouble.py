"""Requests that come to nothing, one after another."""

from __future__ import annotations

from airflow_provider_bitscale.batch.plan.trouble import Trouble


def after(*times: float) -> Trouble:
    """A failure at each of these times, of a request that had just left."""
    trouble = Trouble()
    for now in times:
        assert trouble.failed(now, now)
    return trouble


def test_trouble_lasts_from_its_first_failure() -> None:
    assert not Trouble().lasts(300.0, 1e9)
    assert not after(1000.0).lasts(300.0, 1300.0)
    assert after(1000.0, 1250.0).lasts(300.0, 1300.1)


def test_a_success_in_between_makes_it_forgotten() -> None:
    trouble = after(1000.0, 1100.0)
    trouble.ended()
    assert trouble.failures == 0
    assert trouble.failed(1050.0, 1250.0), "what is left of it does not count against what comes later"
    assert not trouble.lasts(300.0, 1300.1)


def test_requests_that_were_under_way_together_count_once() -> None:
    trouble = after(1000.0)
    assert not trouble.failed(999.0, 1001.0)
    assert trouble.failures == 1
    assert trouble.failed(1000.5, 1001.5)

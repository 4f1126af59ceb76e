"""The pace of requests where the user configured one, or one is assumed."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api.limit.pace import BURST_SECONDS
from airflow_provider_bitscale.api.limit.rate_limit import RateLimit
from airflow_provider_bitscale.api.limit.refusals import RESET_MARGIN
from tests.api.limit.test_rate_limit import NOW, ask, burst, window


@pytest.mark.parametrize("per_minute", [6.0, 60.0, 600.0])
def test_a_configured_rate_holds_whatever_the_server_says(per_minute: float) -> None:
    limit = RateLimit(requests_per_minute=per_minute)
    ask(limit, 0)
    sent, at = 1, 0.0
    while at < 120:
        at += limit.delay(NOW + at)
        ask(limit, at)
        sent += 1
    assert sent <= 120 * per_minute / 60 + BURST_SECONDS * per_minute / 60 + 2
    assert sent >= 120 * per_minute / 60 - 1


def test_a_configured_rate_may_be_used_in_short_bursts_after_a_pause() -> None:
    limit = RateLimit(requests_per_minute=60)
    ask(limit, 0)
    assert burst(limit, 100) == BURST_SECONDS + 1


def test_the_stricter_of_both_limits_holds() -> None:
    limit = RateLimit(requests_per_minute=60)
    ask(limit, 0, window(10, 0, 30))
    assert limit.delay(NOW) == pytest.approx(30 + RESET_MARGIN)
    limit = RateLimit(requests_per_minute=1)
    ask(limit, 0, window(1000, 999, 30))
    assert limit.delay(NOW) == pytest.approx(55)


@pytest.mark.parametrize("status", [200, 404, 503])
def test_an_assumed_rate_is_kept_evenly_until_the_server_tells_one(status: int) -> None:
    limit = RateLimit(assumed_per_second=5.0)
    sent = []
    at = 0.0
    while at < 20:
        at += limit.delay(NOW + at)
        ask(limit, at, status=status)
        sent.append(at)
    for first, sixth in zip(sent, sent[5:], strict=False):
        assert sixth - first > 1.0, "never six in a second"
    assert len(sent) > 0.9 * 5 * 20
    limit.sent(NOW + 20)
    limit.answered(NOW + 20, 200, window(100, 99, 30), 0.0)
    assert limit.delay(NOW + 20) == 0


TELLING_NOTHING: dict[str, dict[str, str]] = {
    "a limit alone": {"X-RateLimit-Limit": "1000"},
    "no reset": {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999"},
    "a reset that counts seconds": {**window(1000, 999, 30), "X-RateLimit-Reset": "30"},
    "a reset that counts milliseconds": {
        **window(1000, 999, 30),
        "X-RateLimit-Reset": str(int(NOW * 1000)),
    },
    "a reset in the past": window(1000, 999, -1),
}


@pytest.mark.parametrize("headers", TELLING_NOTHING.values(), ids=TELLING_NOTHING.keys())
def test_headers_that_tell_of_no_window_leave_the_assumed_rate_in_place(headers: dict[str, str]) -> None:
    limit = RateLimit(assumed_per_second=5.0)
    at, sent = 0.0, 0
    while at < 20:
        at += limit.delay(NOW + at)
        ask(limit, at, headers)
        sent += 1
    assert 0.7 * 5 * 20 < sent <= 5 * 20 + 1


def test_a_configured_rate_gives_way_where_the_server_tells_nothing() -> None:
    limit = RateLimit(requests_per_minute=300, assumed_per_second=5.0)
    ask(limit, 0, status=429)
    ask(limit, 100)
    assert limit.delay(NOW + 100) > 1.8 * 60 / 300


def test_a_configured_rate_takes_the_place_of_an_assumed_one() -> None:
    limit = RateLimit(requests_per_minute=600, assumed_per_second=5.0)
    ask(limit, 0)
    assert limit.delay(NOW) == pytest.approx(0.1)
    assert burst(limit, 100) == 1, "a contract that counts by the second allows no bursts"


def test_an_assumed_rate_gives_way_to_others_and_comes_back() -> None:
    limit = RateLimit(assumed_per_second=5.0)

    def gap(at: float) -> float:
        ask(limit, at)
        return limit.delay(NOW + at)

    usual = gap(0)
    ask(limit, 10, status=429)
    assert gap(100) > 1.8 * usual
    for at in range(200, 300):
        gap(at)
    assert gap(400) == pytest.approx(usual)

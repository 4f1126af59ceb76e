"""The fixed window: aligned to Unix time, counted per key."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.emulator.rate_limit import RateLimiter


@pytest.mark.parametrize(
    ("window_seconds", "requests"),
    [
        (
            10.0,
            [
                # now, key, allowed, remaining, reset
                (1003.0, "a", True, 1, 1010),
                (1009.0, "a", True, 0, 1010),
                (1009.9, "a", False, 0, 1010),
                (1009.9, "b", True, 1, 1010),
                (1010.0, "a", True, 1, 1020),
                (1010.0, "b", True, 1, 1020),
                (1099.0, "a", True, 1, 1100),
            ],
        ),
        (
            0.5,
            [(7.1, "a", True, 1, 8), (7.4, "a", True, 0, 8), (7.4, "a", False, 0, 8), (7.5, "a", True, 1, 8)],
        ),
    ],
)
def test_windows(window_seconds: float, requests: list[tuple[float, str, bool, int, int]]) -> None:
    limiter = RateLimiter(2, window_seconds)
    for now, key, allowed, remaining, reset in requests:
        decision = limiter.count(key, now)
        assert decision.allowed is allowed
        assert dict(decision.headers_for("headers", now)) == {
            "X-RateLimit-Limit": "2",
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(reset),
        }


@pytest.mark.parametrize(
    ("hints", "now", "told"),
    [
        ("headers", 1009.0, [{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}] * 2),
        ("retry-after", 1003.0, [set(), {"Retry-After"}]),
        ("nothing", 1003.0, [set(), set()]),
    ],
)
def test_what_is_told_of_the_limit(hints: str, now: float, told: list[set[str]]) -> None:
    limiter = RateLimiter(1, 10.0)
    assert [set(dict(limiter.count("a", now).headers_for(hints, now))) for _ in told] == told


@pytest.mark.parametrize(
    ("window_seconds", "now", "seconds"), [(10.0, 1003.0, "7"), (10.0, 1003.2, "7"), (0.5, 7.1, "1")]
)
def test_how_long_to_wait_is_whole_seconds_that_reach_the_next_window(
    window_seconds: float, now: float, seconds: str
) -> None:
    limiter = RateLimiter(1, window_seconds)
    limiter.count("a", now)
    assert limiter.count("a", now).headers_for("retry-after", now) == (("Retry-After", seconds),)
    assert limiter.count("a", now + int(seconds)).allowed

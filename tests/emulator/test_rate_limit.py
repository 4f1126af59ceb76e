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
        verdict = limiter.count(key, now)
        assert verdict.allowed is allowed
        assert dict(verdict.headers) == {
            "X-RateLimit-Limit": "2",
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(reset),
        }

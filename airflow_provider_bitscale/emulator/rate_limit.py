"""The documented rate limit as a fixed window: pure, the time is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether one request may pass, and the three headers its answer carries either way."""

    allowed: bool
    headers: tuple[tuple[str, str], ...]


class RateLimiter:
    """Counts requests per API key in windows aligned to whole multiples of ``window_seconds`` of Unix time.

    The document names the headers but no kind of window; a fixed one is the simplest that fits "when the
    window resets". A refused request does not count.
    """

    def __init__(self, requests: int, window_seconds: float) -> None:
        self._requests = requests
        self._window_seconds = window_seconds
        self._window = -1
        self._used: dict[str, int] = {}

    def count(self, key: str, now: float) -> Verdict:
        """Count one request of ``key`` at Unix time ``now`` and say whether it is within the limit."""
        window = math.floor(now / self._window_seconds)
        if window != self._window:
            # Only the current window matters, so made-up keys cannot grow this without bound.
            self._window = window
            self._used = {}
        used = self._used.get(key, 0)
        allowed = used < self._requests
        if allowed:
            used += 1
            self._used[key] = used
        reset = math.ceil((window + 1) * self._window_seconds)
        return Verdict(
            allowed,
            (
                ("X-RateLimit-Limit", str(self._requests)),
                ("X-RateLimit-Remaining", str(self._requests - used)),
                ("X-RateLimit-Reset", str(reset)),
            ),
        )

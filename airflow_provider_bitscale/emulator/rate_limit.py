"""The rate limit as a fixed window, and the headers that tell of it. Pure: the time is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

HEADERS = "headers"
RETRY_AFTER = "retry-after"
NOTHING = "nothing"
HINTS = (HEADERS, RETRY_AFTER, NOTHING)
"""What answers tell: the documented headers on each, ``Retry-After`` on refusals, or nothing."""


@dataclass(frozen=True)
class Decision:
    """Whether one request may pass, and the state of the window after it; ``resets_at`` in Unix seconds."""

    allowed: bool
    limit: int
    remaining: int
    resets_at: float

    def headers_for(self, hints: str, now: float) -> tuple[tuple[str, str], ...]:
        """Return the headers that tell of the limit under ``hints``, one of ``HINTS``."""
        if hints == HEADERS:
            return (
                ("X-RateLimit-Limit", str(self.limit)),
                ("X-RateLimit-Remaining", str(self.remaining)),
                ("X-RateLimit-Reset", str(math.ceil(self.resets_at))),
            )
        if hints == RETRY_AFTER and not self.allowed:
            return (("Retry-After", str(max(1, math.ceil(self.resets_at - now)))),)
        return ()


class RateLimiter:
    """Counts requests per key in windows aligned to whole multiples of ``window_seconds`` of Unix time.

    The document names the headers but no kind of window; a fixed one is the simplest that fits "when the
    window resets". A refused request does not count.
    """

    def __init__(self, requests: int, window_seconds: float) -> None:
        self._requests = requests
        self._window_seconds = window_seconds
        self._window = -1
        self._used: dict[str, int] = {}

    def count(self, key: str, now: float) -> Decision:
        """Count one request of ``key`` at Unix time ``now``, unless it exceeds the limit."""
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
        return Decision(allowed, self._requests, self._requests - used, (window + 1) * self._window_seconds)

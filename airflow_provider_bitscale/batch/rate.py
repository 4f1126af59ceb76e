"""How often something happens. Pure."""

from __future__ import annotations

from collections import deque

_SECONDS = 5.0
# A first few that come together are no rate yet.
_LEAST_SECONDS = 0.25


class Rate:
    """Counts what happened in the last few seconds, of any one clock."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now: float) -> None:
        """It happens now."""
        self._times.append(now)

    def per_second(self, now: float) -> float:
        """How often it happens; 0 if it did not lately."""
        while self._times and self._times[0] <= now - _SECONDS:
            self._times.popleft()
        if not self._times:
            return 0.0
        return len(self._times) / max(_LEAST_SECONDS, min(_SECONDS, now - self._times[0]))

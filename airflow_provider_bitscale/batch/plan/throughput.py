"""How often something happens. Pure."""

from __future__ import annotations

from collections import deque

_SECONDS = 5.0
# Events that came together at the very beginning do not show a rate yet.
_LEAST_SECONDS = 1.0


class Rate:
    """Counts what happened in the last few seconds, of any one clock."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._since: float | None = None

    def count(self, now: float) -> None:
        """Count one event now."""
        self._times.append(now)
        self._since = now if self._since is None else self._since

    def per_second(self, now: float) -> float:
        """How often it happens; 0 if it did not lately."""
        while self._times and self._times[0] <= now - _SECONDS:
            self._times.popleft()
        if self._since is None:
            return 0.0
        return len(self._times) / min(_SECONDS, max(_LEAST_SECONDS, now - self._since))

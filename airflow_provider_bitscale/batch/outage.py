"""Pure: whether BitScale can be reached, and how long to rest while it cannot."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_bitscale.api.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    BitScaleError,
    ServerError,
    TransportError,
)
from airflow_provider_bitscale.runs.sights import Sights

_FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# Of what happened to one request alone, nothing is told, and nothing else rests.
_FEWEST_FAILURES = 2
_LONGEST_REASON = 200

_UNREACHABLE = (TransportError, ServerError, AmbiguousSubmitError)


class Outage:
    """Takes in the answer to each request of a batch. Times are in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._sights = Sights()
        # Seconds for which the key has been refused; infinite if it was not good a moment before.
        self.key_refused_for = 0.0
        self._failures = 0
        self._since = self._seen_at = self._rest_until = 0.0
        # Why the last request came to nothing.
        self.reason = ""

    def note(self, seen: object, now: float) -> None:
        """A request was answered, or was not.

        :param seen: what it was answered with, or the BitScaleError in place of that.
        """
        key_refused_for = self._sights.lasting(seen, now)
        if isinstance(seen, _UNREACHABLE):
            self._failed(seen, now)
        elif isinstance(seen, AuthenticationError):
            self.key_refused_for = key_refused_for
            self._failed(seen, now)
        else:
            self._failures, self._rest_until = 0, 0.0

    def rest(self, now: float) -> float:
        """Seconds for which no request should leave."""
        return max(0.0, self._rest_until - now)

    def describe(self, now: float, unix_now: float) -> str | None:
        """Since when BitScale cannot be reached, and why; None while it can be."""
        if self._failures < _FEWEST_FAILURES:
            return None
        since = datetime.fromtimestamp(unix_now - (now - self._since), timezone.utc)
        return f"cannot reach BitScale since {since:%H:%M:%S} UTC ({self.reason})"

    def _failed(self, error: BitScaleError, now: float) -> None:
        # Requests that were under way together meet the same trouble, which counts once.
        if self._failures and error.left_at < self._seen_at:
            return
        if not self._failures:
            self._since = now
        self._failures += 1
        self._seen_at = now
        self.reason = str(error)[:_LONGEST_REASON]
        if self._failures >= _FEWEST_FAILURES:
            pause = _FIRST_PAUSE * 2.0 ** min(self._failures - _FEWEST_FAILURES, 10)
            self._rest_until = now + min(LONGEST_PAUSE, pause)

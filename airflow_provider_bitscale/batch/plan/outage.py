"""Pure: whether BitScale can be reached, and how long to rest while it cannot."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.retry import backoff
from airflow_provider_bitscale.runs.poll_history import PollHistory

# One request that failed is not reported, and nothing else rests for it.
_FEWEST_FAILURES = 2
_LONGEST_REASON = 200

_UNREACHABLE = (errors.TransportError, errors.ServerError, errors.AmbiguousSubmitError)


class FailureStreak:
    """Failures with no success in between. Times are in seconds of the monotonic clock.

    :ivar failures: how many there were.
    :ivar since: when the first of them was seen.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.since = 0.0
        self._seen_at = 0.0

    def failed(self, left_at: float, now: float) -> bool:
        """Count one more request that has failed.

        :return: whether it counts: requests that were under way together fail for one reason, and count once.
        """
        if self.failures and left_at < self._seen_at:
            return False
        if not self.failures:
            self.since = now
        self.failures += 1
        self._seen_at = now
        return True

    def reset(self) -> None:
        """Note that a request has succeeded."""
        self.failures = 0

    def lasts(self, seconds: float, now: float) -> bool:
        """Whether requests have failed for longer than that."""
        return self.failures > 0 and now - self.since > seconds


class Outage:
    """Takes in the answer to each request of a batch. Times are in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._history = PollHistory()
        # Seconds for which the key has been refused; infinite if it was not good a moment before.
        self.key_refused_for = 0.0
        self._streak = FailureStreak()
        self._rest_until = 0.0
        # Why the last request came to nothing.
        self.reason = ""

    def note(self, seen: object, now: float) -> None:
        """Note whether a request was answered, by a record or the BitScaleError in place of one."""
        key_refused_for = self._history.lasting(seen, now)
        # With that code BitScale has answered, though the fate of the run is unknown.
        if isinstance(seen, _UNREACHABLE) and seen.code != errors.CODE_WEBHOOK_DELIVERY_FAILED:
            self._failed(seen, now)
        elif isinstance(seen, errors.AuthenticationError):
            self.key_refused_for = key_refused_for
            self._failed(seen, now)
        else:
            self._streak.reset()
            self._rest_until = 0.0

    def rest(self, now: float) -> float:
        """Return for how many seconds no request should leave."""
        return max(0.0, self._rest_until - now)

    def describe(self, now: float, unix_now: float) -> str | None:
        """Since when BitScale cannot be reached, and why; None while it can be."""
        if self._streak.failures < _FEWEST_FAILURES:
            return None
        since = datetime.fromtimestamp(unix_now - (now - self._streak.since), timezone.utc)
        return f"cannot reach BitScale since {since:%H:%M:%S} UTC ({self.reason})"

    def _failed(self, error: errors.BitScaleError, now: float) -> None:
        if self._streak.failed(error.left_at, now):
            self.reason = str(error)[:_LONGEST_REASON]
            self._rest_until = now + backoff(self._streak.failures - _FEWEST_FAILURES + 1)

"""Pure: requests that fail, one after another."""

from __future__ import annotations


class Trouble:
    """Failures with no success in between. Times are in seconds of the monotonic clock.

    :ivar failures: how many there were.
    :ivar since: when the first of them was seen.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.since = 0.0
        self._seen_at = 0.0

    def failed(self, left_at: float, now: float) -> bool:
        """One more request came to nothing.

        :param left_at: when it left.
        :return: whether it counts: requests that were under way together meet the same trouble, which counts
            once.
        """
        if self.failures and left_at < self._seen_at:
            return False
        if not self.failures:
            self.since = now
        self.failures += 1
        self._seen_at = now
        return True

    def ended(self) -> None:
        """Note that a request succeeded."""
        self.failures = 0

    def lasts(self, seconds: float, now: float) -> bool:
        """Whether it has gone on for longer than that."""
        return self.failures > 0 and now - self.since > seconds

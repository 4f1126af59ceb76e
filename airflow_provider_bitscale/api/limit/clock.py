"""Pure: by how much the server's clock is ahead of ours, as far as its Date headers tell.

A late answer makes that clock look slow, and so do the parts of a second that the header leaves out: the
largest difference that was seen lately counts.
"""

from __future__ import annotations

from airflow_provider_bitscale.api.limit.headers import http_date

# Clocks this close are taken as equal: the Date header has whole seconds only.
CLOCK_TOLERANCE = 2.0
# How long a difference is remembered, at least, in seconds.
PERIOD = 10.0
_NEVER_SEEN = float("-inf")


class ServerClock:
    """The server's clock beside ours.

    :ivar ahead: seconds by which it is ahead; negative where it is behind.
    """

    def __init__(self) -> None:
        self.ahead = 0.0
        self._header: str | None = None
        # The largest difference in this period, and in the one before.
        self._lately = self._before = _NEVER_SEEN
        self._period_ends = 0.0

    def seen(self, date_header: str | None, now: float) -> bool:
        """Take in the Date header of an answer; whether ``ahead`` has changed."""
        if date_header == self._header:
            # A later answer of the same second only makes that clock look slower.
            return False
        self._header = date_header
        date = http_date(date_header)
        if date is None:
            return False
        if now >= self._period_ends:
            self._before, self._lately = self._lately, _NEVER_SEEN
            self._period_ends = now + PERIOD
        self._lately = max(self._lately, date - now)
        ahead = max(self._lately, self._before)
        if abs(ahead - self.ahead) <= CLOCK_TOLERANCE:
            return False
        self.ahead = 0.0 if abs(ahead) <= CLOCK_TOLERANCE else ahead
        return True

    def our_clock_was_set_back(self) -> None:
        """Forget the differences seen: they are those of another clock."""
        self._header = None
        self._lately = self._before = _NEVER_SEEN

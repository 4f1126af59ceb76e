"""Pure: what the server's headers tell of its window, and how to spread what is left of it.

Requests that leave close together may be counted in an order of their own, answers overtake one another, and
others may use the same key: the budget is a lower bound of what is left.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_bitscale.api.limit.bookings import Told
from airflow_provider_bitscale.api.limit.clock import ServerClock
from airflow_provider_bitscale.api.limit.headers import MAX_PAUSE, WindowHeaders, parse_retry_after
from airflow_provider_bitscale.api.limit.pace import Slots, evenly
from airflow_provider_bitscale.api.limit.refusals import RESET_MARGIN
from airflow_provider_bitscale.api.limit.traffic import UNTIL_AN_ANSWER, Traffic

MAX_WINDOW = 3600.0
# A synchronous run is answered minutes later, but counted when it arrives: within that many seconds, or that
# share of a short window.
COUNTED_AFTER_SECONDS = 1.0
COUNTED_AFTER_SHARE = 0.1
# Whoever was seen to use the key may still do so for a while.
SHARED_SECONDS = 10.0
SHARED_UNLEARNED_IN_FLIGHT = 2
SHARED_RESERVE = 0.03
# Resets closer than that are the same one.
_SAME_RESET = 0.5


class Window:
    """The server's window, as far as it is known.

    :param traffic: the requests under way, which are counted elsewhere.
    :ivar limit: requests in a window; None if that is not known.
    :ivar length: seconds; None if that is not known.
    :ivar reset_at: Unix seconds, by our clock, at which it ends; None if that is not known.
    :ivar told: what the latest answer told of it; None if nothing.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._clock = ServerClock()
        self.limit: float | None = None
        self.length: float | None = None
        self.reset_at: float | None = None
        self.told: Told | None = None
        self._last_reset_at: float | None = None
        self._available = 0.0
        # Requests of ours that the server may have counted in this window.
        self._used = 0.0
        self._shared_until = 0.0
        # For as long as nothing tells what is left of a window, requests leave evenly.
        self._even = Slots()

    @property
    def per_second(self) -> float | None:
        """Requests a second that the server allows; None if that is not known."""
        return self.limit / self.length if self.limit is not None and self.length else None

    @property
    def counted_after(self) -> float:
        """Seconds after which the server has surely counted a request."""
        return min(COUNTED_AFTER_SECONDS, COUNTED_AFTER_SHARE * (self.length or MAX_WINDOW))

    def sent(self, now: float, share: float) -> None:
        """Note that a request leaves now, at this share of an even pace, which others use the key at, too."""
        self._available -= 1
        self._used += 1
        if self.limit and self.length is not None:
            self._even.sent(now, evenly(self.limit * share, self.length))

    def delay(self, now: float) -> float:
        """Seconds until a request may leave by what is known of the window, or less than 0."""
        self._roll_over(now)
        in_flight, late = self._traffic.in_flight, self._traffic.late
        if self.limit is None:
            return 0.0
        if self.reset_at is None and self.length is not None and late:
            # Answers tell of older windows only, as those of synchronous runs do.
            return self._even.delay(now)
        shared = now < self._shared_until and not late
        # Others may take the last ones at this very moment.
        if self._available < (max(2.0, SHARED_RESERVE * self.limit) if shared else 1.0):
            if self.reset_at is not None:
                return self.reset_at + RESET_MARGIN - now
            # With no answer under way there is none to wait for: one request goes and finds out.
            return UNTIL_AN_ANSWER if in_flight else 0.0
        if self.reset_at is None:
            # It is not known yet what others have taken of the new window.
            return UNTIL_AN_ANSWER if shared and in_flight >= SHARED_UNLEARNED_IN_FLIGHT else 0.0
        if self._available > self.limit / 2 and not shared:
            return 0.0
        # The second half of a window is spread evenly, so that whoever comes late finds room; all of it where
        # others would burst at the same moment.
        return self._traffic.last_sent + (self.reset_at - now) / self._available - now

    def answered(
        self, now: float, headers: Mapping[str, str], *, late: bool, reset_is_documented: bool
    ) -> bool:
        """Take in the headers of an answer.

        :param late: whether it comes long after its request was counted.
        :return: whether no request is left, and the answer does not say for how long.
        """
        told, self.told = WindowHeaders.of(headers), None
        if told is None:
            return False
        self._roll_over(now)
        in_flight = self._traffic.in_flight
        if self.limit is None:
            # What was answered before is not known to be of this window.
            self._used = in_flight + self._traffic.late + 1
        self.limit = told.limit if told.limit is not None else self.limit
        if told.remaining is None:
            return False
        if self.limit is None:
            self.limit = told.remaining
        if told.reset is None:
            self._available = told.remaining - in_flight
            return self._available < 1
        # Some servers date an answer by when its request came.
        reset_at = told.reset - (self._clock.ahead if late else self._ahead(now, headers))
        if not reset_is_documented and reset_at > now + MAX_PAUSE:
            # It may count milliseconds, or anything.
            return False
        self.told = Told(self.limit, self.limit - told.remaining, min(reset_at - now, MAX_WINDOW))
        self._ends(now, self.limit, told.remaining, reset_at)
        return False

    def asked_to_wait(self, now: float, headers: Mapping[str, str]) -> float | None:
        """Seconds that an answer asks to wait for, or else those left of the window; None if not told."""
        asked = parse_retry_after(headers.get("Retry-After"), now + self._ahead(now, headers))
        return self.reset_at - now if asked is None and self.reset_at is not None else asked

    def our_clock_was_set_back(self, now: float) -> None:
        """Forget what was told of a time that is in the future again."""
        self._clock.our_clock_was_set_back()
        self._even.next_at = now
        self.reset_at = self._last_reset_at = None

    def _roll_over(self, now: float) -> None:
        if self.limit is not None and self.reset_at is not None and now >= self.reset_at + RESET_MARGIN:
            # Requests still under way may be counted in the new window.
            self._used = self._traffic.in_flight
            self._available = self.limit - self._used
            # What left before is a matter of the window that is over.
            self._even.next_at = min(self._even.next_at, self.reset_at)
            self.reset_at = None

    def _ends(self, now: float, limit: float, remaining: float, reset_at: float) -> None:
        in_flight = self._traffic.in_flight
        if reset_at < now + MAX_WINDOW:
            self._learn_length(reset_at)
        reset_at = min(reset_at, now + MAX_WINDOW)
        if self.reset_at is not None and abs(reset_at - self.reset_at) < _SAME_RESET:
            # Answers overtake one another; within a window the budget only shrinks.
            self._available = min(self._available, self._left(now, limit, remaining))
        elif reset_at > now and (self.reset_at is None or reset_at > self.reset_at):
            if self.reset_at is not None:
                self._used = in_flight + 1
            elif self._used > limit:
                # They left in several windows, of which nothing was told.
                self._used = limit - remaining + in_flight
            self._available = self._left(now, limit, remaining)
            self.reset_at = reset_at

    def _ahead(self, now: float, headers: Mapping[str, str]) -> float:
        """Seconds by which the server's clock is ahead of ours."""
        if self._clock.seen(headers.get("Date"), now):
            # Resets by the old difference and by the new one cannot be compared.
            self._last_reset_at = None
        return self._clock.ahead

    def _learn_length(self, reset_at: float) -> None:
        """Take the shortest time seen between two resets for the length of a window."""
        gap = 0.0 if self._last_reset_at is None else reset_at - self._last_reset_at
        if gap >= _SAME_RESET:
            self.length = gap if self.length is None else min(self.length, gap)
        self._last_reset_at = max(reset_at, self._last_reset_at or 0.0)

    def _left(self, now: float, limit: float, remaining: float) -> float:
        """Return what is left of the window by an answer, for requests that have not left yet."""
        if limit - remaining > self._used:
            self._shared_until = now + SHARED_SECONDS
            # Somebody else uses this key. The server may not have counted our requests still under way.
            return remaining - self._traffic.in_flight
        return min(remaining, limit - self._used)

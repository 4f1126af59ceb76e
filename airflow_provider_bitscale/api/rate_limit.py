"""Pure: when the next request may leave, from what the server says and what the user configured.

BitScale reports its limit in ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (API document, "Rate
Limiting") and asks for pauses with ``Retry-After``. Time is always passed in, as Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

from airflow_provider_bitscale.api.retry import backoff

# Until the first answer tells the limit, only so many requests may be under way.
UNLEARNED_IN_FLIGHT = 4
# How soon to look again while only an answer to a request under way can tell more.
UNTIL_AN_ANSWER = 0.02
# After a reset, so that small differences between clocks do not fall into the old window.
RESET_MARGIN = 0.01
# Clocks this close are taken as equal: the Date header has whole seconds only.
CLOCK_TOLERANCE = 2.0
SKEW_PERIOD = 10.0
# A synchronous run is answered minutes later, but counted when it arrives: within so many seconds, or such a
# share of a window that is known to be short.
COUNTED_AFTER_SECONDS = 1.0
COUNTED_AFTER_SHARE = 0.1
_NEVER_SEEN = float("-inf")
# A configured rate may be used in bursts of so many seconds' worth.
BURST_SECONDS = 5.0
# Where nothing tells what is left of a window, requests leave evenly. So much of a window is left unused, one
# request at most: half of it is for those that travel faster than others, half for catching up.
SPARE_SHARE = 0.05
SPARE_REQUESTS = 1.0
# Others may use the same key. There each refusal halves the share taken of the rate, and each other answer
# gives a little of it back.
SMALLEST_SHARE = 0.05
SHARE_REGAINED = 0.02
# Whoever was seen to use the key may still do so for a while.
SHARED_SECONDS = 10.0
SHARED_UNLEARNED_IN_FLIGHT = 2
SHARED_RESERVE = 0.03
MAX_BACKOFF = 60.0
# No single header may silence a process for longer.
MAX_PAUSE = 300.0
MAX_WINDOW = 3600.0


@dataclass
class RateLimit:
    """The state of one limit: one for each base URL and API key in a process.

    :param requests_per_minute: a configured ceiling, besides the server's; None for none.
    :param assumed_per_second: the rate that the server is assumed to allow while it reports none; a
        configured one goes before it. None for no such assumption.
    """

    requests_per_minute: float | None = None
    assumed_per_second: float | None = None

    def __post_init__(self) -> None:
        self._in_flight = 0
        # Requests under way that the server has surely counted.
        self._late = 0
        self._answered = False
        self._limit: float | None = None
        self._available = 0.0
        # Requests of ours that the server may have counted in this window.
        self._used = 0.0
        self._reset_at: float | None = None
        self._window: float | None = None
        self._last_reset_at: float | None = None
        self._clock_skew = 0.0
        # By how much the server's clock looked ahead, at most, in this period and in the one before.
        self._skew_lately = self._skew_before = _NEVER_SEEN
        self._skew_period_ends = 0.0
        self._last_sent = 0.0
        self._blocked_until = 0.0
        self._limited_in_a_row = 0
        self._next_slot = 0.0
        # The same at an even pace by what the server told of its limit.
        self._next_even_slot = 0.0
        self._share = 1.0
        self._shared_until = 0.0

    def delay(self, now: float) -> float:
        """Seconds until a request may be sent; 0 for at once."""
        if now < self._last_sent - CLOCK_TOLERANCE:
            # The clock was set back: what was learned is about a time that has not come yet.
            self._last_sent = self._blocked_until = now
            self._next_slot = self._next_even_slot = now
            self._reset_at = self._last_reset_at = None
            self._skew_lately = self._skew_before = _NEVER_SEEN
        self._roll_over(now)
        return max(0.0, self._blocked_until - now, self._paced_delay(now), self._learned_delay(now))

    def sent(self, now: float) -> None:
        """A request leaves now."""
        self._in_flight += 1
        self._available -= 1
        self._used += 1
        self._last_sent = now
        gap, behind = self._pace()
        self._next_slot = max(self._next_slot, now - behind) + gap
        if self._limit and self._window is not None:
            gap, behind = _evenly(self._limit * self._share, self._window)
            self._next_even_slot = max(self._next_even_slot, now - behind) + gap

    @property
    def counted_after(self) -> float:
        """Seconds after which a request that is answered late may be called :meth:`counted`."""
        return min(COUNTED_AFTER_SECONDS, COUNTED_AFTER_SHARE * (self._window or MAX_WINDOW))

    def counted(self) -> None:
        """The server has surely counted a request that is still under way."""
        self._in_flight -= 1
        self._late += 1

    def failed(self, *, counted: bool = False) -> None:
        """A request that left got no answer.

        :param counted: whether it was called :meth:`counted`.
        """
        self._over(counted)

    def answered(
        self, now: float, status: int, headers: Mapping[str, str], jitter: float, *, counted: bool = False
    ) -> None:
        """A request that left was answered.

        :param counted: whether it was called :meth:`counted`.
        :param jitter: a random number in [0, 1), to spread those who wait for the same reset.
        """
        self._over(counted)
        self._answered = True
        if "X-RateLimit-Limit" in headers or "X-RateLimit-Remaining" in headers:
            self._learn(now, headers, counted)
        if status == 429:
            self._block(now, headers, jitter)
        else:
            self._share = min(1.0, self._share + SHARE_REGAINED)
            self._limited_in_a_row = 0

    def _pace(self) -> tuple[float, float]:
        """Seconds from one request to the next, as configured or, with nothing better known, as assumed.

        And seconds behind that pace which may be caught up. No such pace: 0.
        """
        if self.requests_per_minute:
            # A server that is assumed to count by the second has no room for bursts, whatever the rate.
            burst = 0.0 if self.assumed_per_second else BURST_SECONDS
            return 60.0 / (self.requests_per_minute * (self._share if self._reset_at is None else 1.0)), burst
        # Headers that tell of no window leave the rate as unknown as none at all.
        if self.assumed_per_second and self._reset_at is None:
            return _evenly(self.assumed_per_second * self._share, 1.0)
        return 0.0, 0.0

    def _paced_delay(self, now: float) -> float:
        gap, _ = self._pace()
        return self._next_slot - now if gap else 0.0

    def _learned_delay(self, now: float) -> float:
        if not self._answered and self.assumed_per_second is None:
            # The first answers may be long in coming: a synchronous run takes minutes.
            crowded = self._in_flight >= UNLEARNED_IN_FLIGHT and now < self._last_sent + 1.0
            return UNTIL_AN_ANSWER if crowded else 0.0
        if self._limit is None:
            return 0.0
        if self._reset_at is None and self._window is not None and self._late:
            # Answers tell of older windows only, as those of synchronous runs do.
            return self._next_even_slot - now
        shared = now < self._shared_until and not self._late
        # Others may take the last ones at this very moment.
        if self._available < (max(2.0, SHARED_RESERVE * self._limit) if shared else 1.0):
            if self._reset_at is not None:
                return self._reset_at + RESET_MARGIN - now
            if self._in_flight:
                return UNTIL_AN_ANSWER
            # With no answer under way there is none to wait for: one request goes and finds out.
            return 0.0
        if self._reset_at is None:
            # Nobody knows yet what others have taken of the new window.
            return UNTIL_AN_ANSWER if shared and self._in_flight >= SHARED_UNLEARNED_IN_FLIGHT else 0.0
        if self._available > self._limit / 2 and not shared:
            return 0.0
        # The second half of a window is spread evenly, so that whoever comes late finds room; all of it where
        # others would burst at the same moment.
        return self._last_sent + (self._reset_at - now) / self._available - now

    def _roll_over(self, now: float) -> None:
        if self._limit is not None and self._reset_at is not None and now >= self._reset_at + RESET_MARGIN:
            # Requests still under way may be counted in the new window.
            self._used = self._in_flight
            self._available = self._limit - self._used
            # What left before is a matter of the window that is over.
            self._next_even_slot = min(self._next_even_slot, self._reset_at)
            self._reset_at = None

    def _learn(self, now: float, headers: Mapping[str, str], late: bool) -> None:
        self._roll_over(now)
        limit = _number(headers.get("X-RateLimit-Limit"))
        remaining = _number(headers.get("X-RateLimit-Remaining"))
        reset = _number(headers.get("X-RateLimit-Reset"))
        if self._limit is None:
            # What was answered before is not known to be of this window.
            self._used = self._in_flight + self._late + 1
        self._limit = limit if limit is not None else self._limit
        if remaining is None:
            return
        if self._limit is None:
            self._limit = remaining
        if reset is None:
            self._available = remaining - self._in_flight
            if self._available < 1:
                self._blocked_until = max(self._blocked_until, now + 1.0)
            return
        # Some servers date an answer by when its request came.
        reset_at = reset - (self._clock_skew if late else self._skew(now, headers))
        if self.assumed_per_second and reset_at > now + MAX_PAUSE:
            # Nobody documents this header where a rate is assumed: it may count milliseconds, or anything.
            return
        if reset_at < now + MAX_WINDOW:
            self._learn_window(reset_at)
        reset_at = min(reset_at, now + MAX_WINDOW)
        if self._reset_at is not None and abs(reset_at - self._reset_at) < 0.5:
            # Answers overtake one another; within a window the budget only shrinks.
            self._available = min(self._available, self._left(now, self._limit, remaining))
        elif reset_at > now and (self._reset_at is None or reset_at > self._reset_at):
            if self._reset_at is not None:
                self._used = self._in_flight + 1
            elif self._used > self._limit:
                # They left in several windows, of which nothing was told.
                self._used = self._limit - remaining + self._in_flight
            self._available = self._left(now, self._limit, remaining)
            self._reset_at = reset_at

    @property
    def per_second(self) -> float | None:
        """Requests a second that are allowed, as far as that is known; for people to read."""
        told = self._limit / self._window if self._limit is not None and self._window else None
        if self.requests_per_minute:
            ceiling = self.requests_per_minute / 60.0
            return ceiling if told is None else min(told, ceiling)
        return self.assumed_per_second if told is None else told

    def _learn_window(self, reset_at: float) -> None:
        """The shortest time seen from one reset to another is how long a window is."""
        gap = 0.0 if self._last_reset_at is None else reset_at - self._last_reset_at
        if gap >= 0.5:
            self._window = gap if self._window is None else min(self._window, gap)
        self._last_reset_at = max(reset_at, self._last_reset_at or 0.0)

    def _over(self, counted: bool) -> None:
        if counted:
            self._late -= 1
        else:
            self._in_flight -= 1

    def _left(self, now: float, limit: float, remaining: float) -> float:
        """What is left of a window by an answer, for requests that have not left yet."""
        if limit - remaining > self._used:
            self._shared_until = now + SHARED_SECONDS
            # Somebody else uses this key. The server may not have counted our requests still under way.
            return remaining - self._in_flight
        return min(remaining, limit - self._used)

    def _skew(self, now: float, headers: Mapping[str, str]) -> float:
        """Seconds by which the server's clock is ahead of ours, as far as its Date header tells.

        A late answer makes that clock look slow, and so do the parts of a second that the header leaves out:
        of what was seen lately the most counts.
        """
        date = _http_date(headers.get("Date"))
        if date is not None:
            if now >= self._skew_period_ends:
                self._skew_before, self._skew_lately = self._skew_lately, _NEVER_SEEN
                self._skew_period_ends = now + SKEW_PERIOD
            self._skew_lately = max(self._skew_lately, date - now)
            skew = max(self._skew_lately, self._skew_before)
            if abs(skew - self._clock_skew) > CLOCK_TOLERANCE:
                self._clock_skew = 0.0 if abs(skew) <= CLOCK_TOLERANCE else skew
                # Resets by the old clock and by the new one are no window apart.
                self._last_reset_at = None
        return self._clock_skew

    def _block(self, now: float, headers: Mapping[str, str], jitter: float) -> None:
        if now >= self._blocked_until:
            # Those that were under way together are refused together, which is one refusal.
            self._limited_in_a_row += 1
            self._share = max(SMALLEST_SHARE, self._share / 2)
        asked = parse_retry_after(headers.get("Retry-After"), now + self._skew(now, headers))
        if asked is None and self._reset_at is not None:
            asked = self._reset_at - now
        pause = backoff(max(self._limited_in_a_row, 1), first=1.0, longest=MAX_BACKOFF)
        # A server that asks for no pause, or one in the past, is not to be taken at its word.
        asked = asked or pause
        until = now + asked + RESET_MARGIN + jitter * min(1.0, 0.1 * asked)
        self._blocked_until = max(self._blocked_until, until)


def _evenly(requests: float, seconds: float) -> tuple[float, float]:
    """The pace at which no window of so many seconds ever sees more requests, whenever it begins."""
    spare = min(SPARE_REQUESTS, SPARE_SHARE * requests)
    gap = seconds / (requests - spare)
    return gap, spare / 2 * gap


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number of seconds or an HTTP date; None if unreadable."""
    seconds = _number(value)
    if seconds is None:
        date = _http_date(value)
        seconds = None if date is None else date - now
    return None if seconds is None else min(max(seconds, 0.0), MAX_PAUSE)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


# A Date header changes once a second, and may be read a thousand times in it.
@lru_cache(maxsize=16)
def _http_date(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError, OverflowError):
        # What stands there may be no date, or one that no clock shows.
        return None

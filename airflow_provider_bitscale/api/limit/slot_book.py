"""Pure: the slots of one limit, booked by all processes that share it. Time is passed in, as Unix seconds.

Whoever wants to send takes a ticket, and sends when it is that ticket's turn: that is what makes it fair, and
why nobody tries again. A slot is claimed at the moment of sending. A pause or a slower pace moves all tickets
that are not claimed yet. ``shared_state/slot_book.lua`` does the same in Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite
from operator import attrgetter

from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Operation, Refused, Told, Turn
from airflow_provider_bitscale.api.limit.headers import MAX_PAUSE
from airflow_provider_bitscale.api.limit.refusals import MAX_BACKOFF, RESET_MARGIN, SMALLEST_SHARE
from airflow_provider_bitscale.api.retry import backoff

# Of the rate, regained in each second after a refusal's pause.
SHARE_REGAINED = 0.1
# A refusal this soon after a pause shows that the pause was too short.
AGAIN_SECONDS = 2.0
# Resets closer than that are the same one.
SAME_RESET = 0.5
# When to look again for a new window, where the length of windows is not known.
UNKNOWN_LENGTH = 1.0
# Requests of a window that are left unused: so many at most, and that share of it. Some that left before it
# began may be counted in it.
SPARE_REQUESTS = 2.0
SPARE_SHARE = 0.05
# A window of which nothing was told for so long is forgotten.
FORGET_SECONDS = 600.0
# Clocks of one machine differ by less, unless one was set.
CLOCK_TOLERANCE = 2.0


@dataclass(slots=True)
class SlotBook:
    """The state of one limit; all numbers, so that a few bytes hold it. Times are Unix seconds.

    :ivar tickets: the next one to hand out.
    :ivar head: the first ticket after those that were claimed.
    :ivar head_at: when it is its turn.
    :ivar share: of the pace that may be used, as the last refusal left it.
    :ivar refused_at: when that was; 0 for never.
    :ivar refusals: how often in a row a pause was too short.
    :ivar paused_until: end of the pause.
    :ivar limit: requests in the server's window; 0 if none is known.
    :ivar length: seconds of a window; 0 if that is not known.
    :ivar reset_at: when the window ends, as told or worked out.
    :ivar told_reset_at: the last end that was told.
    :ivar claimed: slots of this window that were claimed here.
    :ivar others: requests of this window that others are known to have sent.
    :ivar written_at: when the state was written.
    """

    tickets: float = 0.0
    head: float = 0.0
    head_at: float = 0.0
    share: float = 1.0
    refused_at: float = 0.0
    refusals: float = 0.0
    paused_until: float = 0.0
    limit: float = 0.0
    length: float = 0.0
    reset_at: float = 0.0
    told_reset_at: float = 0.0
    claimed: float = 0.0
    others: float = 0.0
    written_at: float = 0.0

    def is_plausible(self, now: float) -> bool:
        """Whether this state can be of this limit and clock: another one is not worth believing."""
        numbers = numbers_of(self)
        return (
            isfinite(sum(numbers))
            and min(numbers) >= 0
            and self.head <= self.tickets
            and 0 < self.share <= 1
            and self.written_at <= now + CLOCK_TOLERANCE
            and self.head_at <= now + 2 * MAX_PAUSE
        )

    def apply(self, operation: Operation, now: float) -> Turn:
        """Do what is asked; return what a booking has come to."""
        self.written_at = now
        self._roll_over(now)
        ticket, granted, gap = -1, 0, 0.0
        match operation:
            case Book():
                ticket, granted = self._book(operation, now)
                gap = self._gap(operation, now)
            case GiveBack():
                self._give_back(operation, self._gap(operation, now))
            case Refused():
                self._refused(operation, now)
            case Told():
                self._told(operation, now)
        return Turn(
            granted,
            -1 if granted else ticket,
            0.0 if granted or ticket < 0 else max(0.0, self._due(ticket, gap) - now),
            max(0.0, self._due(self.head, gap) - now),
            self.limit,
            self.claimed + self.others,
            max(0.0, self.reset_at - now),
        )

    def _book(self, asked: Book, now: float) -> tuple[int, int]:
        ticket, gap = asked.ticket, self._gap(asked, now)
        if not 0 <= ticket < self.tickets:
            ticket = int(self.tickets)
            self.tickets += 1
        granted = 0
        if self._due(ticket, gap) <= now:
            self._claim(ticket, gap, asked.behind, now)
            granted = 1
        while granted and granted < asked.at_most and self.head == self.tickets:
            gap = self._gap(asked, now)
            if self._due(self.head, gap) > now:
                break
            self.tickets += 1
            self._claim(self.head, gap, asked.behind, now)
            granted += 1
        return ticket, granted

    def _claim(self, ticket: float, gap: float, behind: float, now: float) -> None:
        # A ticket whose turn was missed takes the place of the head, and moves all others on.
        self.head_at = max(self._due(ticket, gap), now - behind) + gap
        self.head = max(self.head, ticket + 1)
        self.claimed += 1

    def _due(self, ticket: float, gap: float) -> float:
        """When it is the turn of a ticket, as far as is known."""
        ahead = max(0.0, ticket - self.head)
        at = self.head_at + ahead * gap
        left = self._left
        if self.limit and ahead >= left:
            windows = floor((ahead - left) / self.limit)
            at = max(at, self.reset_at + RESET_MARGIN + windows * self.length)
        return at

    def _gap(self, asked: Book | GiveBack, now: float) -> float:
        """Seconds between requests. Half of a window may leave at once; the rest lasts until its end."""
        gap = 0.0 if asked.assumed and self.limit else asked.gap
        left = self._left
        spread = (self.reset_at - now) / max(left, 1.0) if self.limit and left <= self.limit / 2 else 0.0
        return max(gap / self._share(now), spread)

    def _share(self, now: float) -> float:
        return min(1.0, self.share + SHARE_REGAINED * max(0.0, now - self.paused_until))

    @property
    def _left(self) -> float:
        """Slots of this window that may be claimed yet, at least 0."""
        spare = min(SPARE_REQUESTS, SPARE_SHARE * self.limit)
        return max(0.0, floor(self.limit - spare) - self.claimed - self.others)

    def _give_back(self, given: GiveBack, gap: float) -> None:
        if given.granted:
            self.head_at -= given.granted * gap
            self.claimed = max(0.0, self.claimed - given.granted)
        if given.ticket >= 0 and given.ticket == self.tickets - 1 and given.ticket >= self.head:
            self.tickets -= 1
        elif given.ticket == self.head and self.head < self.tickets:
            self.head += 1

    def _refused(self, refused: Refused, now: float) -> None:
        if now - refused.left_ago >= self.refused_at:
            # Those that were under way together are refused together, which is one refusal.
            again = self.paused_until and now < self.paused_until + AGAIN_SECONDS
            self.refusals = self.refusals + 1 if again else 1.0
            self.share = max(SMALLEST_SHARE, self._share(now) / 2)
            self.refused_at = now
        pause = refused.asked or backoff(int(max(self.refusals, 1)), first=1.0, longest=MAX_BACKOFF)
        pause = min(pause, MAX_PAUSE) + RESET_MARGIN + refused.jitter * min(1.0, 0.1 * pause)
        self.paused_until = max(self.paused_until, now + pause)
        self.head_at = max(self.head_at, self.paused_until)

    def _told(self, told: Told, now: float) -> None:
        reset_at = now + told.reset_in
        if told.reset_in <= 0:
            return
        if abs(reset_at - self.reset_at) >= SAME_RESET:
            if self.told_reset_at and reset_at >= self.told_reset_at + SAME_RESET:
                length = reset_at - self.told_reset_at
                self.length = min(self.length, length) if self.length else length
            if not self.limit or (self.reset_at > now and reset_at > self.reset_at):
                # What was claimed so far is of windows before this one.
                self.claimed = told.used
            self.reset_at = reset_at
            self.others = 0.0
        self.told_reset_at = max(self.told_reset_at, reset_at)
        self.limit = told.limit
        self.others = max(self.others, told.used - self.claimed)

    def _roll_over(self, now: float) -> None:
        if now > self.told_reset_at + FORGET_SECONDS:
            self.limit = self.length = self.reset_at = self.told_reset_at = 0.0
        if self.limit and now >= self.reset_at + RESET_MARGIN:
            length = self.length or UNKNOWN_LENGTH
            self.reset_at += length * (1 + floor((now - self.reset_at - RESET_MARGIN) / length))
            self.claimed = self.others = 0.0


numbers_of = attrgetter(*SlotBook.__slots__)
"""Returns the numbers of a book as a tuple, in the order of its fields."""

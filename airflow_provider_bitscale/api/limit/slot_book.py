"""Pure: the slots of one limit, booked by all processes that share it. Time is passed in, as Unix seconds.

Whoever wants to send takes a ticket, and sends when it is that ticket's turn: that is what makes it fair, and
why nobody tries again. A slot is claimed at the moment of sending. A pause or a slower pace moves all tickets
that are not claimed yet. ``shared_state/slot_book.lua`` does the same in Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite
from operator import attrgetter
from zlib import crc32

from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Operation, Refused, Told, Turn
from airflow_provider_bitscale.api.limit.headers import MAX_PAUSE
from airflow_provider_bitscale.api.limit.refusals import MAX_BACKOFF, RESET_MARGIN, SMALLEST_SHARE
from airflow_provider_bitscale.api.retry import backoff

# Of the rate, regained in each second after a refusal's pause.
SHARE_REGAINED = 0.1
# A refusal this soon after a pause shows that the pause was too short.
AGAIN_SECONDS = 2.0
# Requests are that far apart, at least, after a refusal (more, the smaller the share is), and where the next
# answer will tell of the window: in a new book, and in a window of which nothing was told yet.
CAREFUL_GAP = 0.02
CAREFUL_TICKETS = 20
# Those that wait for such an answer look again that soon.
CAREFUL_SECONDS = 0.1
# Whoever comes that early need not come again.
EARLY_SECONDS = 0.0005
# Whoever waits asks again that soon. Whoever does not for so long is absent, and not waited for.
ASK_AGAIN_SECONDS = 5.0
ABSENT_SECONDS = 10.0
# Tickets that wait. Of more, the oldest count as missed.
MAX_WAITING = 100_000
# Resets closer than that are the same one.
SAME_RESET = 0.5
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
    :ivar head: the first ticket after those that were claimed or passed over.
    :ivar head_at: when it is its turn.
    :ivar seen: the lowest ticket that somebody has come with of late.
    :ivar seen_until: when the tickets below it are passed over, and that is noted anew.
    :ivar share: of the pace that may be used, as the last refusal left it.
    :ivar refusals: how often in a row a pause was too short.
    :ivar paused_until: end of the pause.
    :ivar limit: requests in the server's window; 0 if none is known.
    :ivar length: seconds of a window, as far as is known.
    :ivar reset_at: when the window ends, as told or worked out.
    :ivar told_reset_at: the last end that was told.
    :ivar claimed: slots of this window that were claimed here.
    :ivar others: requests of this window that others are known to have sent.
    :ivar written_at: when the state was written.
    """

    tickets: float = 0.0
    head: float = 0.0
    head_at: float = 0.0
    seen: float = 0.0
    seen_until: float = 0.0
    share: float = 1.0
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
        soon = now + MAX_PAUSE + 2 * CLOCK_TOLERANCE
        return (
            isfinite(sum(numbers))
            and min(numbers) >= 0
            and self.head <= self.tickets <= self.head + MAX_WAITING
            and SMALLEST_SHARE <= self.share <= 1
            and self.length <= MAX_PAUSE
            and (self.limit == 0 or (self.limit >= 1 and self.length >= SAME_RESET))
            and max(self.head_at, self.seen_until, self.paused_until, self.reset_at, self.told_reset_at)
            <= soon
            and self.written_at <= now + CLOCK_TOLERANCE
        )

    def apply(self, operation: Operation, now: float) -> Turn:
        """Do what is asked; return what a booking has come to."""
        self.written_at = now
        ticket, granted, wait, pace, gap = -1, 0, 0.0, 0.0, 0.0
        self._roll_over(now)
        match operation:
            case Book():
                self._pass_over_absent(now)
                ticket, granted = self._book(operation, now)
                pace, gap = self._gaps(operation, now)
            case GiveBack():
                self._give_back(operation)
            case Refused():
                self._refused(operation, now)
            case Told():
                self._told(operation, now)
        if granted:
            ticket = -1
        elif ticket >= 0:
            self.seen = min(self.seen, ticket)
            soonest = min((ticket - self.head) * self._careful_gap(now), CAREFUL_SECONDS)
            wait = max(0.0, soonest, self._due(ticket, pace, gap) - now)
        return Turn(
            granted,
            ticket,
            min(wait, ASK_AGAIN_SECONDS),
            max(0.0, self._due(self.head, pace, gap) - now),
            self.limit,
            self.claimed + self.others,
            max(0.0, self.reset_at - now),
        )

    def _book(self, asked: Book, now: float) -> tuple[int, int]:
        ticket, granted = asked.ticket, 0
        if not 0 <= ticket < self.tickets:
            ticket = int(self.tickets)
            self.tickets += 1
            self.head = max(self.head, self.tickets - MAX_WAITING)
        pace, gap = self._gaps(asked, now)
        while granted < asked.at_most and self._due(ticket, pace, gap) <= now + EARLY_SECONDS:
            self._claim(ticket, pace, gap, asked.behind, now)
            granted += 1
            pace, gap = self._gaps(asked, now)
            if self.head < self.tickets:
                break
            ticket = int(self.tickets)
        return ticket, granted

    def _claim(self, ticket: float, pace: float, gap: float, behind: float, now: float) -> None:
        # A ticket whose turn was missed takes the place of the head, and moves all others on.
        at = max(self._due(ticket, pace, gap), now - behind)
        self.head_at = at + min(MAX_PAUSE, max(gap, pace / self._share(now), self._careful_gap(now)))
        self.head = max(self.head, ticket + 1)
        self.tickets = max(self.tickets, self.head)
        self.claimed += 1

    def _due(self, ticket: float, pace: float, gap: float) -> float:
        """When it is the turn of a ticket, as far as is known, and unless a refusal slows all."""
        ahead = max(0.0, ticket - self.head)
        if not self.limit or ahead < (left := self._left):
            return self.head_at + ahead * gap
        windows = floor((ahead - left) / self._usable)
        return max(self.head_at + ahead * pace, self.reset_at + RESET_MARGIN + windows * self.length)

    def _gaps(self, asked: Book, now: float) -> tuple[float, float]:
        """Seconds between requests by the pace, and by that and what is left of the window.

        Half of a window may leave at once; the rest lasts until its end.
        """
        pace = 0.0 if asked.assumed and self.limit else min(asked.gap, MAX_PAUSE)
        if self.limit and (left := self._left) <= self.limit / 2:
            return pace, max(pace, (self.reset_at - now) / max(left, 1.0))
        return pace, pace

    def _careful_gap(self, now: float) -> float:
        share = self._share(now)
        is_new = self.reset_at > self.told_reset_at if self.limit else self.head < CAREFUL_TICKETS
        return CAREFUL_GAP / share if is_new or share < 1 else 0.0

    def _share(self, now: float) -> float:
        return min(1.0, self.share + SHARE_REGAINED * max(0.0, now - self.paused_until))

    @property
    def _usable(self) -> float:
        """Slots of a whole window."""
        return self.limit - min(SPARE_REQUESTS, floor(SPARE_SHARE * self.limit))

    @property
    def _left(self) -> float:
        """Slots of this window that may be claimed yet."""
        return max(0.0, self._usable - self.claimed - self.others)

    def _pass_over_absent(self, now: float) -> None:
        """Pass over the first tickets if nobody came back with them. They may still claim later."""
        if now >= self.seen_until:
            self.head = max(self.head, min(self.seen, self.tickets))
            self.seen, self.seen_until = self.tickets, now + ABSENT_SECONDS

    def _give_back(self, given: GiveBack) -> None:
        # Of a pace nothing is given back: others may have left at it since.
        self.claimed = max(0.0, self.claimed - given.granted)
        if given.ticket == self.tickets - 1 and given.ticket >= self.head:
            self.tickets -= 1
        elif self.head == given.ticket < self.tickets:
            # Whoever is next takes its turn.
            self.head += 1

    def _refused(self, refused: Refused, now: float) -> None:
        pause = refused.asked
        if now - refused.left_ago >= self.paused_until - EARLY_SECONDS:
            again = self.paused_until > 0 and now < self.paused_until + AGAIN_SECONDS
            self.refusals = self.refusals + 1 if again else 1.0
            self.share = max(SMALLEST_SHARE, self._share(now) / 2)
            pause = pause or backoff(int(self.refusals), first=1.0, longest=MAX_BACKOFF)
        elif not pause:
            # Those that were under way together are refused together, which is one refusal.
            return
        pause = min(pause, MAX_PAUSE)
        pause += RESET_MARGIN + refused.jitter * min(1.0, 0.1 * pause)
        self.paused_until = max(self.paused_until, now + pause)
        self.head_at = max(self.head_at, self.paused_until)

    def _told(self, told: Told, now: float) -> None:
        reset_at = now + told.reset_in
        is_over = now >= self.told_reset_at + RESET_MARGIN
        is_later = reset_at >= self.told_reset_at + SAME_RESET
        if told.limit < 1 or told.used < 0 or not 0 < told.reset_in <= MAX_PAUSE:
            return
        if is_over and not is_later:
            return
        if not self.limit or (is_later and not is_over):
            # The server's window began before it did here: most of what was claimed is of the one before.
            self.claimed = min(self.claimed, told.used)
            self.others = 0.0
        if self.limit and is_later and is_over:
            self.length = min(self.length, reset_at - self.told_reset_at)
        self.length = max(self.length, told.reset_in, SAME_RESET)
        self.reset_at = self.told_reset_at = reset_at
        self.limit = told.limit
        self.others = max(self.others, told.used - self.claimed)

    def _roll_over(self, now: float) -> None:
        if now > self.told_reset_at + FORGET_SECONDS:
            self.limit = self.length = self.reset_at = self.told_reset_at = 0.0
        if self.limit and now >= self.reset_at + RESET_MARGIN:
            windows = 1 + floor((now - self.reset_at - RESET_MARGIN) / self.length)
            self.reset_at += windows * self.length
            self.claimed = self.others = 0.0


numbers_of = attrgetter(*SlotBook.__slots__)
"""Returns the numbers of a book as a tuple, in the order of its fields."""

LAYOUT = crc32(" ".join(SlotBook.__slots__).encode())
"""Tells books with other fields apart: another version of this package keeps books of its own."""

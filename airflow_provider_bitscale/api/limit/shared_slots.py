"""The slots of one limit in shared state, and a request's place in the line for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter

from airflow_provider_bitscale.api.limit.bookings import Book, Operation, Told, Turn
from airflow_provider_bitscale.api.limit.pace import Pace
from airflow_provider_bitscale.api.limit.slot_book import SAME_RESET
from airflow_provider_bitscale.api.metrics import RATE_LIMIT_WAIT, note_time
from airflow_provider_bitscale.api.shared_state.backend import Backend
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState

# Slots that a batch books at once where each booking is a way to another machine.
SLOTS_AT_ONCE = 8
# For so long slots may lie in stock: others' pauses are heard of that late.
STOCK_SECONDS = 0.1
# They are that share of what is left of a window, at most: those that are not used are lost.
STOCK_SHARE = 0.001
# Of the time that a booking took, so much sooner the next one leaves: to come too early is for nothing.
WAY_SHARE = 0.9
# How often it is told what the server has counted; a new window is told at once.
TELL_SECONDS = 1.0


@dataclass(eq=False)
class Place:
    """A request's place in the line.

    :param at_most: slots to claim at once, if nobody else waits.
    :ivar ticket: -1 while it has none.
    :ivar hold: seconds until any request may leave, as last seen.
    :ivar granted: slots that it has.
    """

    at_most: int = 1
    ticket: int = field(default=-1, init=False)
    hold: float = field(default=0.0, init=False)
    granted: int = field(default=0, init=False)
    _since: float | None = field(default=None, init=False)

    def waits(self, delay: float) -> float:
        """Note that it waits, or that it has waited long enough; return the delay."""
        if delay and self._since is None:
            self._since = time.monotonic()
        elif not delay and self._since is not None:
            note_time(RATE_LIMIT_WAIT, time.monotonic() - self._since)
            self._since = None
        return delay


class Line(asyncio.Lock):
    """The waiting line of an event loop.

    :ivar waiting: the places of those who are not the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Place] = []

    @asynccontextmanager
    async def turn_of(self, place: Place) -> AsyncIterator[None]:
        """Wait until a place is the first, for the time of a block."""
        self.waiting.append(place)
        try:
            await self.acquire()
        finally:
            self.waiting.remove(place)
        try:
            yield
        finally:
            self.release()

    def use_lowest_ticket(self, place: Place) -> None:
        """Give the first place the lowest ticket: one whose turn has come while others wait is lost.

        Not everybody has one after shared state was away, and some have one that is not of their order.
        """
        with_ticket = (other for other in self.waiting if other.ticket >= 0)
        other = min(with_ticket, key=attrgetter("ticket"), default=place)
        if place.ticket < 0 or other.ticket < place.ticket:
            place.ticket, other.ticket = other.ticket, place.ticket


@dataclass
class SharedSlots:
    """Books the slots of a limit.

    :param name: of the limit in the state.
    """

    state: SharedState
    name: str
    _known: Turn | None = field(default=None, init=False)
    _known_at: float = field(default=0.0, init=False)
    _told: Told | None = field(default=None, init=False)
    _told_at: float = field(default=0.0, init=False)
    # Slots that were booked for requests to come, and how many more the next booking asks for.
    _stock: float = field(default=0.0, init=False)
    _stock_until: float = field(default=0.0, init=False)
    _more: int = field(default=0, init=False)

    def take_from_stock(self, now: float) -> bool:
        """Take a slot that needs no booking, if there is one."""
        # Nor does it last longer where the clock was set back.
        if self._stock < 1 or not 0 < self._stock_until - now <= STOCK_SECONDS:
            return False
        self._stock -= 1
        return True

    def book(self, place: Place, pace: Pace, assumed: bool) -> Turn | None:
        """Take a ticket for a place, or claim a slot by the one that it has; None if that cannot be asked."""
        asked_at = time.time()
        return self._seen(self.state.ask(self._booking(place, pace, assumed)), place, pace, asked_at)

    async def book_async(self, place: Place, pace: Pace, assumed: bool) -> Turn | None:
        """Async twin of :meth:`book`."""
        asked_at = time.time()
        turn = await self.state.ask_async(self._booking(place, pace, assumed))
        return self._seen(turn, place, pace, asked_at)

    def tell(self, operation: Operation) -> None:
        """Do something with the slots, soon; if that is not possible then, it is not done."""
        self.state.tell(self._question(operation))

    def is_news(self, told: Told, now: float) -> bool:
        """Whether others should be told what an answer tells: of a new window, or that somebody else uses it.

        The book has worked out when the next one ends, and is careful in it until somebody tells.
        """
        last = self._told
        is_same = (
            last is not None
            and last.limit == told.limit
            and abs(self._told_at + last.reset_in - now - told.reset_in) < SAME_RESET
        )
        used = 0.0 if self._known is None else self._known.used
        if is_same and (told.used <= used or now < self._told_at + TELL_SECONDS):
            return False
        self._told, self._told_at = told, now
        return True

    def _booking(self, place: Place, pace: Pace, assumed: bool) -> Callable[[Backend], Turn]:
        at_most = place.at_most
        if place.ticket < 0 and time.time() < self._known_at + STOCK_SECONDS:
            # One booking at a time asks for more.
            at_most, self._more = at_most + self._more, 0
        return self._question(Book(pace.gap, pace.behind, assumed, place.ticket, at_most))

    def _question(self, operation: Operation) -> Callable[[Backend], Turn]:
        return lambda backend: backend.apply(self.name, operation)

    def _seen(self, turn: Turn | None, place: Place, pace: Pace, asked_at: float) -> Turn | None:
        if turn is None:
            return None
        self._known, self._known_at = turn, time.time()
        granted = min(turn.granted, place.at_most)
        nothing_limits = not (pace.gap or turn.limit or turn.hold)
        rest = inf if granted and nothing_limits else turn.granted - granted
        if rest or not granted:
            self._stock = rest
            self._stock_until = self._known_at + min(turn.reset_in or STOCK_SECONDS, STOCK_SECONDS)
        # Twice as many each time, as long as they are used up before their time is over.
        self._more = min(2 * turn.granted, int(STOCK_SHARE * max(0.0, turn.limit - turn.used)))
        # The claim takes its way, too, and is to come when it is the ticket's turn.
        way = max(0.0, min(WAY_SHARE * (self._known_at - asked_at), turn.wait / 2))
        return turn._replace(granted=granted, wait=turn.wait - way)

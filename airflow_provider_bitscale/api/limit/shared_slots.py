"""The slots of one limit in shared state, and a request's place in the line for them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from airflow_provider_bitscale.api.limit.bookings import Book, Operation, Told, Turn
from airflow_provider_bitscale.api.limit.pace import Pace
from airflow_provider_bitscale.api.limit.slot_book import SAME_RESET
from airflow_provider_bitscale.api.metrics import RATE_LIMIT_WAIT, note_time
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState

# Slots that a batch books at once where each booking is a way to another machine.
SLOTS_AT_ONCE = 8
# While nothing is known to limit the requests, others' pauses are heard of that late.
FREE_SECONDS = 0.1
_FREE = Turn(1, -1, 0.0, 0.0, 0.0, 0.0, 0.0)
# How often it is told what the server has counted; a new window is told at once.
TELL_SECONDS = 1.0


@dataclass
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


@dataclass
class SharedSlots:
    """Books the slots of a limit.

    :param name: of the limit in the state.
    """

    state: SharedState
    name: str
    _known: Turn | None = field(default=None, init=False)
    _known_at: float = field(default=0.0, init=False)
    _told_at: float = field(default=0.0, init=False)
    _free_until: float = field(default=0.0, init=False)

    def book(self, place: Place, pace: Pace, assumed: bool) -> Turn | None:
        """Take a ticket for a place, or claim a slot by the one that it has; None if that cannot be asked."""
        if self._is_free(place, pace):
            return _FREE
        return self._seen(self.ask(self._booking(place, pace, assumed)), pace)

    async def book_async(self, place: Place, pace: Pace, assumed: bool) -> Turn | None:
        """Async twin of :meth:`book`."""
        if self._is_free(place, pace):
            return _FREE
        return self._seen(await self.ask_async(self._booking(place, pace, assumed)), pace)

    def ask(self, operation: Operation) -> Turn | None:
        """Do something with the slots; None if that is not possible now."""
        return self.state.ask(lambda backend: backend.apply(self.name, operation))

    async def ask_async(self, operation: Operation) -> Turn | None:
        """Async twin of :meth:`ask`."""
        return await self.state.ask_async(lambda backend: backend.apply(self.name, operation))

    def is_news(self, told: Told, now: float) -> bool:
        """Whether others should be told what an answer tells of the window, as far as this process knows."""
        known = self._known
        is_same = (
            known is not None
            and known.limit == told.limit
            and abs(self._known_at + known.reset_in - now - told.reset_in) < SAME_RESET
        )
        if is_same and known is not None and (told.used <= known.used or now < self._told_at + TELL_SECONDS):
            return False
        self._told_at = now
        return True

    def _booking(self, place: Place, pace: Pace, assumed: bool) -> Operation:
        return Book(pace.gap, pace.behind, assumed, place.ticket, place.at_most)

    def _is_free(self, place: Place, pace: Pace) -> bool:
        return not pace.gap and place.ticket < 0 and time.time() < self._free_until

    def _seen(self, turn: Turn | None, pace: Pace) -> Turn | None:
        if turn is not None:
            self._known, self._known_at = turn, time.time()
            is_free = turn.granted and not (pace.gap or turn.limit or turn.hold)
            self._free_until = self._known_at + FREE_SECONDS if is_free else 0.0
        return turn

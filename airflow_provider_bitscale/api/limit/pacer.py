"""One pacer for each limit in a process, shared by every client in it."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Mapping

from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.errors import RateLimitedError
from airflow_provider_bitscale.api.limit.bookings import GiveBack, Refused, Turn
from airflow_provider_bitscale.api.limit.pace import Pace
from airflow_provider_bitscale.api.limit.rate_limit import RateLimit
from airflow_provider_bitscale.api.limit.shared_slots import SLOTS_AT_ONCE, Line, Place, SharedSlots
from airflow_provider_bitscale.api.metrics import RATE_LIMIT_REFUSED, count
from airflow_provider_bitscale.api.shared_state.address import limit_name
from airflow_provider_bitscale.api.shared_state.location import shared_state_of

# A poll has a deadline, and a pause that the server asks for must not make it miss that.
IMPATIENT_SECONDS = 5.0
# Whoever waits looks again that often: a pause may have moved its turn.
LOOK_AGAIN_SECONDS = 1.0
# No turn is waited for shorter than that.
LEAST_SECONDS = 0.001
TOO_MANY_REQUESTS = 429


class Pacer:
    """Lets requests leave when the rate limit allows: in an event loop, in the order in which they asked.

    Safe to use from several threads and event loops; all of them share one :class:`RateLimit`. The pace is
    kept together with other processes, in shared slots; by this process alone while there are none.

    :param slots: those of the limit in shared state; None to share none.
    """

    def __init__(self, slots: SharedSlots | None = None) -> None:
        self.limit = RateLimit()
        self._slots = slots
        self._state_lock = threading.Lock()
        self._queue = threading.Lock()

    def wait(self, *, patient: bool = True) -> None:
        """Block until a request may leave, and count it as sent.

        :param patient: False to raise rather than sit out a pause of more than a few seconds.
        :raises RateLimitedError: the limit allows no request soon, and the caller is not patient.
        """
        place = Place()
        try:
            with self._queue:
                while delay := self._book(place):
                    _look_ahead(place, patient)
                    time.sleep(min(delay, LOOK_AGAIN_SECONDS))
        except BaseException:
            self.leave(place)
            raise

    async def wait_async(self, line: Line, *, patient: bool = True) -> None:
        """Wait until a request may leave, and count it as sent; see :meth:`wait`.

        :param line: of this event loop.
        """
        place = Place()
        try:
            if not await self.book_async(place, is_first=not line.locked()):
                return
            _look_ahead(place, patient)
            async with line.turn_of(place):
                line.use_lowest_ticket(place)
                while delay := await self.book_async(place):
                    _look_ahead(place, patient)
                    await asyncio.sleep(min(delay, LOOK_AGAIN_SECONDS))
        except BaseException:
            self.leave(place)
            raise

    async def book_async(self, place: Place, *, is_first: bool = True) -> float:
        """Book slots for requests that leave now, if they may.

        :param place: keeps the ticket until its turn, and then has the number of slots.
        :param is_first: whether nobody in this event loop has waited for longer.
        :return: 0 if slots are booked; else seconds after which to ask again.
        """
        if self._slots is None:
            delay = self._book_alone(place, is_first=is_first)
        elif (known := self._by_itself(place, self._slots, is_first=is_first)) is not None:
            delay = known
        else:
            turn = await self._slots.book_async(place, *self._pace)
            delay = self._follow(place, turn, is_first=is_first)
        return place.waits(delay)

    def leave(self, place: Place) -> None:
        """Give back the ticket of a place, and the slots that it has left."""
        ticket, granted = place.ticket, place.granted
        place.ticket, place.granted = -1, 0
        for _ in range(granted):
            self.failed()
        if self._slots is not None and (ticket >= 0 or granted):
            self._slots.tell(GiveBack(ticket, granted))

    def limit_to(self, requests_per_minute: float | None, assumed_per_second: float | None) -> None:
        """Set the configured ceiling and the rate that the contract assumes; the last call counts."""
        with self._state_lock:
            self.limit.requests_per_minute = requests_per_minute
            self.limit.assumed_per_second = assumed_per_second

    @property
    def slots_at_once(self) -> int:
        """How many slots to book at once for many requests: more where each booking takes a while."""
        return SLOTS_AT_ONCE if self._slots is not None and self._slots.state.blocks else 1

    def counted(self) -> None:
        """Note that a sent request has surely been counted, though its answer may take minutes."""
        with self._state_lock:
            self.limit.counted()

    def answered(
        self, status: int, headers: Mapping[str, str], *, took: float = 0.0, counted: bool = False
    ) -> None:
        """Note the answer to a request, and whether it was called :meth:`counted`; tell others what it tells.

        Nothing waits for that: the answer may have the id of a run that is paid for.

        :param took: seconds since it left.
        """
        now, jitter = time.time(), random.random()  # noqa: S311
        if status == TOO_MANY_REQUESTS:
            count(RATE_LIMIT_REFUSED)
        with self._state_lock:
            news = self.limit.answered(now, status, headers, jitter, counted=counted, took=took)
        if self._slots is None or news is None:
            return
        if isinstance(news, Refused) or self._slots.is_news(news, now):
            self._slots.tell(news)

    def failed(self, *, counted: bool = False) -> None:
        """Note that a request got no answer; see :meth:`answered`."""
        with self._state_lock:
            self.limit.failed(counted=counted)

    def _book(self, place: Place) -> float:
        """Twin of :meth:`book_async`, for whoever is first in line."""
        if self._slots is None:
            delay = self._book_alone(place)
        elif (known := self._by_itself(place, self._slots)) is not None:
            delay = known
        else:
            delay = self._follow(place, self._slots.book(place, *self._pace))
        return place.waits(delay)

    def _by_itself(self, place: Place, slots: SharedSlots, *, is_first: bool = True) -> float | None:
        """Seconds to wait, where that is known without a question to shared state; 0 for a slot in stock."""
        now = time.time()
        with self._state_lock:
            place.hold = self.limit.delay(now, paced=False)
            if place.hold > 0:
                return place.hold
            if is_first and place.ticket < 0 and slots.take_from_stock(now):
                self._grant(place, 1, now)
                return 0.0
        return None

    def _follow(self, place: Place, turn: Turn | None, *, is_first: bool = True) -> float:
        """Do what shared state says; without an answer, what this process knows alone."""
        if turn is None:
            place.ticket = -1
            return self._book_alone(place, is_first=is_first)
        place.ticket, place.hold = turn.ticket, turn.hold
        with self._state_lock:
            self._grant(place, turn.granted, time.time())
        return 0.0 if turn.granted else max(turn.wait, LEAST_SECONDS)

    def _book_alone(self, place: Place, *, is_first: bool = True) -> float:
        if not is_first:
            return LOOK_AGAIN_SECONDS
        now = time.time()
        with self._state_lock:
            place.hold = self.limit.delay(now)
            if place.hold <= 0:
                self._grant(place, 1, now)
        return place.hold

    def _grant(self, place: Place, slots: int, now: float) -> None:
        place.granted = slots
        for _ in range(slots):
            self.limit.sent(now)

    @property
    def _pace(self) -> tuple[Pace, bool]:
        """The pace that is configured or assumed, and whether it is assumed."""
        return self.limit.shared_pace, self.limit.requests_per_minute is None


class AnsweredLate:
    """Tells the pacer that a request has been counted, if it is not over by then. For one event loop."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._counted = False
        self._timer = asyncio.get_running_loop().call_later(pacer.limit.counted_after, self._count)

    def over(self) -> bool:
        """Note the end of the request; return whether it had been counted."""
        self._timer.cancel()
        return self._counted

    def _count(self) -> None:
        self._counted = True
        self._pacer.counted()


_pacers: dict[tuple[str, str | None], Pacer] = {}
_registry_lock = threading.Lock()


def pacer_for(config: ClientConfig, assumed_per_second: float | None) -> Pacer:
    """Return the pacer that every client of this limit shares: of a workspace, or of an API key.

    :raises ConfigurationError: a library is missing that the configured shared state needs.
    """
    name = limit_name(config.base_url, config.workspace_id, config.api_key)
    with _registry_lock:
        pacer = _pacers.get((name, config.shared_state_url))
        if pacer is None:
            state = shared_state_of(config.shared_state_url)
            pacer = Pacer(None if state is None else SharedSlots(state, name))
            _pacers[name, config.shared_state_url] = pacer
    pacer.limit_to(config.requests_per_minute, assumed_per_second)
    return pacer


def _forget_pacers() -> None:
    """Begin anew in a forked process: another thread may have held a lock of the parent."""
    global _registry_lock
    _registry_lock = threading.Lock()
    _pacers.clear()


os.register_at_fork(after_in_child=_forget_pacers)


def _look_ahead(place: Place, patient: bool) -> None:
    """Raise RateLimitedError rather than have a caller who is not patient sit out a long pause."""
    if not patient and place.hold > IMPATIENT_SECONDS:
        raise RateLimitedError(f"no request may be sent for {place.hold:.0f} s", retry_after=place.hold)

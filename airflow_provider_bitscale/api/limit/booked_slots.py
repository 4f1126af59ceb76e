"""Slots that are booked before it is decided which requests use them."""

from __future__ import annotations

from collections import deque

from airflow_provider_bitscale.api.limit.pacer import Pacer
from airflow_provider_bitscale.api.limit.shared_slots import Place


class BookedSlots:
    """The slots that one client has booked ahead, each of which is then taken and used. For one event loop.

    The key may be renewed meanwhile, and another limit count: a slot belongs to the pacer that booked it.
    """

    def __init__(self) -> None:
        # In the line for further ones, with those that were granted and are not taken yet.
        self._place: tuple[Pacer, Place] | None = None
        # Where those come from that were taken and are not used yet.
        self._taken: deque[Pacer] = deque()

    async def book(self, pacer: Pacer) -> float:
        """Book a slot unless there is one; return 0 if there is, else seconds after which to ask again."""
        if self._place is None or self._place[0] is not pacer:
            self.give_back()
            self._place = pacer, Place(at_most=pacer.slots_at_once)
        place = self._place[1]
        return 0.0 if place.granted else await pacer.book_async(place)

    def take(self, pacer: Pacer) -> bool:
        """Take a slot that is booked, if there is one."""
        if self._place is None or self._place[0] is not pacer or not self._place[1].granted:
            return False
        self._place[1].granted -= 1
        self._taken.append(pacer)
        return True

    def use(self) -> Pacer:
        """Return the pacer of the slot that was taken first."""
        return self._taken.popleft()

    def give_back(self) -> None:
        """Give back what was not taken, and leave the line."""
        if self._place is not None:
            (pacer, place), self._place = self._place, None
            pacer.leave(place)

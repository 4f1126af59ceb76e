"""Pure: what the same tasks would take if each of them knew how long its run takes.

An oracle has the slots that this provider books, and the start-up times and run lengths that were measured.
It sends two requests a row: it submits, and polls once, when the run has ended. Nothing else takes time.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from airflow_provider_bitscale.api.limit.bookings import Book, Refused, Told
from airflow_provider_bitscale.api.limit.pace import NO_PACE, Pace
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.emulator.rate_limit import RateLimiter

_SMALLEST_WAIT = 1e-6


@dataclass(frozen=True)
class OracleTask:
    """A row that was measured.

    :param start_up: seconds from the start of its process until it asks for the slot of a request.
    :param run: seconds that its run takes.
    :param wind_up: seconds from its last answer until its process has ended.
    :param group: of processes, that run so many tasks at a time.
    :param defers: whether its process ends once it has submitted.
    """

    start_up: float
    run: float
    wind_up: float
    group: int = 0
    defers: bool = False


@dataclass(frozen=True)
class Limit:
    """What the server allows, and at what pace requests leave.

    :param requests: in a window.
    :param seconds: length of a window, all of which begin at multiples of it.
    :param pace: that is assumed where answers tell of no limit; ``NO_PACE`` where they do.
    """

    requests: int
    seconds: float
    pace: Pace

    @property
    def per_second(self) -> float:
        """Requests a second that the server allows."""
        return self.requests / self.seconds


@dataclass
class Foreseen:
    """How it went.

    :ivar sent: when each request left.
    :ivar ended_at: when the last task ended.
    """

    sent: list[float] = field(default_factory=list)
    refused: int = 0
    ended_at: float = 0.0


class Oracle:
    """Runs tasks under a virtual clock.

    :param at_once: tasks at a time, in each group.
    """

    def __init__(self, tasks: Sequence[OracleTask], at_once: int, limit: Limit) -> None:
        self._limit = limit
        self._server = RateLimiter(limit.requests, limit.seconds)
        self._book = SlotBook()
        self._at_once = at_once
        self._waiting: dict[int, deque[OracleTask]] = defaultdict(deque)
        for task in tasks:
            self._waiting[task.group].append(task)
        self._events: list[tuple[float, int, OracleTask, bool, int]] = []
        self._order = count()
        self._seen = Foreseen()

    def run(self, start: float) -> Foreseen:
        """Run all tasks from these Unix seconds on."""
        for group in self._waiting:
            for _ in range(self._at_once):
                self._start_next(group, start)
        while self._events:
            now, _, task, has_run, ticket = heapq.heappop(self._events)
            self._send(task, has_run, ticket, now)
        return self._seen

    def _start_next(self, group: int, now: float) -> None:
        if self._waiting[group]:
            task = self._waiting[group].popleft()
            self._at(now + task.start_up, task, has_run=False)

    def _at(self, at: float, task: OracleTask, *, has_run: bool, ticket: int = -1) -> None:
        heapq.heappush(self._events, (at, next(self._order), task, has_run, ticket))

    def _send(self, task: OracleTask, has_run: bool, ticket: int, now: float) -> None:
        pace = self._limit.pace
        turn = self._book.apply(Book(pace.gap, pace.behind, ticket=ticket), now)
        if not turn.granted:
            self._at(now + max(turn.wait, _SMALLEST_WAIT), task, has_run=has_run, ticket=turn.ticket)
        elif not self._is_answered(now):
            self._at(now, task, has_run=has_run)
        elif not has_run:
            self._at(now + task.run, task, has_run=True)
            if task.defers:
                self._start_next(task.group, now + task.wind_up)
        else:
            self._ended(task, now)

    def _ended(self, task: OracleTask, now: float) -> None:
        if not task.defers:
            now += task.wind_up
            self._start_next(task.group, now)
        self._seen.ended_at = max(self._seen.ended_at, now)

    def _is_answered(self, now: float) -> bool:
        """Have the server count a request; return whether it allows it."""
        self._seen.sent.append(now)
        decision = self._server.count("key", now)
        if not decision.allowed:
            self._seen.refused += 1
            self._book.apply(Refused(0.0, 0.0, 0.5), now)
        if self._limit.pace == NO_PACE:
            used = decision.limit - decision.remaining
            self._book.apply(Told(decision.limit, used, decision.resets_at - now), now)
        return decision.allowed

"""Processes that share a slot book, a server with fixed windows and a network, under a virtual clock.

What a request takes to be counted, what its answer takes, and how late a process wakes are drawn (seeds 1-3).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, Refused, Told
from airflow_provider_bitscale.api.limit.pace import evenly
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.emulator.rate_limit import HEADERS, NOTHING, Decision, RateLimiter

# A whole minute, so that windows of any length begin with it.
EPOCH = 1_800_000_000.0
ASSUMED = Book(*evenly(5, 1.0), assumed=True)
SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])

Event = tuple[float, int, int, int, float, "Decision | None"]


@dataclass
class World:
    """Each process always has a request to send, one at a time.

    :param late: seconds that a process may wake late.
    :param jitter: seconds by which requests may differ in what they take to be counted.
    :param answer: seconds that an answer takes, at most.
    :param outsiders: requests a second that are sent past the book.
    """

    processes: int
    requests: int
    window: float
    seed: int
    hints: str = NOTHING
    asked: Book = ASSUMED
    late: float = 0.005
    jitter: float = 0.025
    answer: float = 0.08
    outsiders: float = 0.0
    book: SlotBook = field(default_factory=SlotBook)
    served: Counter[int] = field(default_factory=Counter)
    outside: int = 0
    refused: int = 0
    bookings: int = 0

    def run(self, seconds: float) -> World:
        """Let that many seconds pass."""
        dice, number = random.Random(self.seed), itertools.count()
        server = RateLimiter(self.requests, self.window)
        begins = EPOCH + 0.3 * self.window
        events: list[Event] = []

        def plan(
            at: float, process: int, ticket: int = -1, left: float = 0.0, got: Decision | None = None
        ) -> None:
            heapq.heappush(events, (at, next(number), process, ticket, left, got))

        for process in range(self.processes):
            plan(begins + dice.random(), process)
        if self.outsiders:
            plan(begins, -1)
        while events[0][0] < begins + seconds:
            now, _, process, ticket, left, got = heapq.heappop(events)
            if process < 0:
                self.outside += server.count("key", now).allowed
                plan(now + dice.expovariate(self.outsiders), -1)
            elif got is not None:
                self._answered(got, left, now, dice.random())
                plan(now, process)
            elif left:
                decision = server.count("key", now)
                self.served[process] += decision.allowed
                self.refused += not decision.allowed
                plan(now + dice.uniform(0.2, 1.0) * self.answer, process, -1, left, decision)
            else:
                assert self.book.is_plausible(now)
                self.bookings += 1
                turn = self.book.apply(self.asked._replace(ticket=ticket), now)
                if turn.granted:
                    plan(now + 0.001 + self.jitter * dice.random(), process, -1, now)
                else:
                    plan(now + turn.wait + self.late * dice.random(), process, turn.ticket)
        return self

    def _answered(self, got: Decision, left: float, now: float, jitter: float) -> None:
        headers = dict(got.headers_for(self.hints, now))
        reset_in = float(headers["X-RateLimit-Reset"]) - now if headers else 0.0
        if headers:
            self.book.apply(Told(got.limit, got.limit - got.remaining, reset_in), now)
        if not got.allowed:
            self.book.apply(Refused(now - left, max(0.0, reset_in), jitter), now)

    @property
    def shares(self) -> list[float]:
        """Of what was served, each process's part in its fair one."""
        fair = self.served.total() / self.processes
        return [self.served[process] / fair for process in range(self.processes)]


@SEEDS
@pytest.mark.parametrize("processes", [1, 4, 32])
def test_a_server_that_tells_nothing_refuses_nothing(processes: int, seed: int) -> None:
    world = World(processes, 5, 1.0, seed).run(120)
    assert world.refused == 0
    assert world.served.total() >= (4.7 if processes > 1 else 4.3) * 120
    assert max(world.served.values()) - min(world.served.values()) <= 4


@SEEDS
@pytest.mark.parametrize("late", [0.05, 0.3])
def test_processes_that_wake_late_lose_time_and_send_no_more_for_that(late: float, seed: int) -> None:
    world = World(32, 5, 1.0, seed, late=late).run(120)
    assert world.refused == 0
    assert world.served.total() >= (4.6 if late < 0.1 else 3.0) * 120
    assert min(world.shares) >= 0.85


@SEEDS
@pytest.mark.parametrize(("requests", "processes", "share"), [(60, 32, 0.96), (300, 16, 0.98), (60, 1, 0.96)])
def test_a_window_of_a_minute_that_is_told_is_used_and_refuses_nothing(
    requests: int, processes: int, share: float, seed: int
) -> None:
    world = World(processes, requests, 60.0, seed, HEADERS, answer=0.4).run(600)
    assert world.refused == 0
    assert world.served.total() >= share * requests * 10
    assert min(world.shares) >= 0.6


@SEEDS
@pytest.mark.parametrize(("requests", "window"), [(60, 1.0), (20, 10.0), (5, 1.0), (1, 1.0)])
def test_other_windows(requests: int, window: float, seed: int) -> None:
    world = World(16, requests, window, seed, HEADERS, answer=0.04).run(20 * window + 20)
    assert world.refused <= 1
    assert world.served.total() >= 0.9 * requests * (20 + 20 / window)


@SEEDS
def test_a_first_answer_comes_in_time_for_a_small_window(seed: int) -> None:
    """Thirty-two processes, an empty book, no pace, and a window of ten requests."""
    world = World(32, 10, 60.0, seed, HEADERS, asked=Book(0.0, 0.0)).run(300)
    assert world.refused <= 2


@SEEDS
def test_requests_past_the_book_are_left_their_part_of_a_window(seed: int) -> None:
    world = World(32, 60, 60.0, seed, HEADERS, outsiders=0.3).run(600)
    assert world.outside >= 0.7 * 0.3 * 600
    assert world.refused <= 0.01 * world.served.total()
    assert world.served.total() + world.outside >= 0.95 * 600


@SEEDS
def test_requests_past_the_book_where_nothing_is_told_of_them(seed: int) -> None:
    world = World(16, 5, 1.0, seed, outsiders=2.0).run(300)
    assert world.outside >= 0.8 * 2.0 * 300
    assert world.refused <= 0.13 * world.served.total()
    assert world.served.total() >= 1.5 * 300


@SEEDS
def test_a_pause_that_is_over_lets_no_herd_loose(seed: int) -> None:
    world = World(32, 5, 1.0, seed)
    for process in range(32):
        world.book.apply(ASSUMED, EPOCH)
        world.book.apply(Refused(0.0, 3.0, process / 32), EPOCH + process / 1000)
    assert world.book.share == 0.5
    world.run(60)
    assert world.refused == 0
    assert world.served.total() >= 4.0 * 55

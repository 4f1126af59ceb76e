"""A virtual clock: 1,000 processes that share a slot book submit and poll 10 million rows.

Each process has one request at a time, and always another one to send: for each row a submission, then a
poll. The server counts a fixed number of requests a second, and tells nothing of that. How long a request
takes to be counted, how long its answer takes, and how late a process wakes is drawn (seed 1), so slots are
claimed in an order of their own. What a refused request asked for is sent again.
"""

from __future__ import annotations

import random
import time
from heapq import heapify, heapreplace
from pathlib import Path

from airflow_provider_bitscale.api.limit.bookings import Book, Refused
from airflow_provider_bitscale.api.limit.pace import evenly
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.emulator.rate_limit import RateLimiter
from tests.benchmarks.figures import Figure, at_least, at_most

_PROCESSES = 1_000
_ROWS = 10_000_000
_REQUESTS_PER_ROW = 2
_PER_SECOND = 100
# Seconds: how much the ways of two requests to the server may differ, answers, and how late a process wakes.
_JITTER = 0.004
_ANSWER = 0.1
_LATE = 0.004
_EPOCH = 1_800_000_000.0
_KEY = "key"


def virtual(_: Path) -> list[Figure]:
    """Use of the limit, refusals, and fairness."""
    began = time.process_time()
    served, refused, bookings, seconds = _simulate(_REQUESTS_PER_ROW * _ROWS)
    cpu = time.process_time() - began
    requests = sum(served)
    return [
        at_least(
            f"virtual clock, {_PROCESSES:,} processes, {_ROWS:,} rows: share of the limit",
            requests / seconds / _PER_SECOND,
            0.95,
            raw=f"{requests:,} requests in {seconds / 3600:.1f} virtual hours at {_PER_SECOND}/s; "
            f"{bookings:,} bookings, {cpu:.0f} s of CPU",
        ),
        at_most("requests refused", 100 * refused / requests, 0.1, unit=" %", raw=f"{refused:,} refused"),
        at_least(
            "the least that a process got / its part",
            min(served) / (requests / _PROCESSES),
            0.5,
            raw=f"{min(served):,} to {max(served):,} requests",
        ),
    ]


def _simulate(requests: int) -> tuple[list[int], int, int, float]:
    """Return what each process was served, how many requests were refused, all bookings, and the seconds."""
    dice = random.Random(1).random
    book, server = SlotBook(), RateLimiter(_PER_SECOND, 1.0)
    pace = evenly(_PER_SECOND, 1.0)
    first = Book(*pace, assumed=True)
    served = [0] * _PROCESSES
    refused = bookings = done = 0
    now = _EPOCH
    # When, whose, the ticket that it comes with, and when a request left that is on its way (0: none). Each
    # process is in here once.
    events = [(now + 2 * dice(), process, -1, 0.0) for process in range(_PROCESSES)]
    heapify(events)
    while done < requests:
        now, process, ticket, left = events[0]
        if left:
            if server.count(_KEY, now).allowed:
                done += 1
                served[process] += 1
            else:
                refused += 1
                book.apply(Refused(now - left, 0.0, dice()), now)
            heapreplace(events, (now + _ANSWER * (0.5 + dice()), process, -1, 0.0))
            continue
        turn = book.apply(first if ticket < 0 else Book(*pace, True, ticket), now)
        bookings += 1
        if turn.granted:
            heapreplace(events, (now + 0.001 + _JITTER * dice(), process, -1, now))
        else:
            heapreplace(events, (now + turn.wait + _LATE * dice(), process, turn.ticket, 0.0))
    return served, refused, bookings, now - _EPOCH

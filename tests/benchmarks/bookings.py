"""What one booking costs the process that books: in a file, in Redis.

CPU by the process's own clock, in fresh processes; the best of many short rounds, as whatever disturbs them
makes them longer. Round trips to Redis by the server's own count of what it read from
clients: that of commands has those of the script in it.

Run as ``python -m tests.benchmarks.bookings URL``, it books, and prints what that cost as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from airflow_provider_bitscale.api.limit.bookings import Book, Turn
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.api.shared_state.location import shared_state_of
from tests.benchmarks.figures import Figure, at_most, skipped
from tests.benchmarks.processes import run_json
from tests.support.processes import environment
from tests.support.redis import Redis

_PROCESSES = 5
_ROUNDS = 50
_BOOKINGS = 200
# At a pace that lets all of them leave: a booking that is granted writes as much as one that waits.
_BOOK = Book(gap=1e-6, behind=1.0)
_NAME = "0123456789abcdef" * 2
_TIMEOUT = 120


def bookings(home: Path) -> list[Figure]:
    """CPU of a booking, and round trips."""
    folder = home / "bookings"
    folder.mkdir()
    in_file = [_measure(home, f"file://{folder}") for _ in range(_PROCESSES)]
    figures = [
        at_most(
            "CPU of a booking in a file",
            median(run["cpu"] for run in in_file),
            20,
            unit=" us",
            raw=f"{_cpu(in_file)}; the slot book alone {median(run['book'] for run in in_file):.1f} us",
        )
    ]
    if reason := Redis.missing_reason():
        return [*figures, skipped("round trips of a booking in Redis", "<= 1", reason)]
    with Redis() as server, server.client() as client:
        in_redis = [_measure(home, server.url)]
        before = client.info("stats")["total_reads_processed"]
        in_redis += [_measure(home, server.url) for _ in range(_PROCESSES - 1)]
        reads = client.info("stats")["total_reads_processed"] - before
    booked = sum(run["booked"] for run in in_redis[1:])
    return [
        *figures,
        at_most(
            "round trips of a booking in Redis",
            # A connection has a few of its own.
            round(reads / booked, 2),
            1,
            raw=f"{booked:,.0f} bookings of {_PROCESSES - 1} processes, {reads:,} reads of the server",
        ),
        Figure(
            "  to compare: a booking in Redis",
            f"{median(run['cpu'] for run in in_redis):.0f} us",
            raw=f"CPU of the client, {_cpu(in_redis)}; {median(run['took'] for run in in_redis):.0f} us pass",
        ),
    ]


def _measure(home: Path, url: str) -> dict[str, float]:
    run: dict[str, float] = run_json(
        ["-m", "tests.benchmarks.bookings", url], environment(home), timeout=_TIMEOUT
    )
    return run


def _cpu(runs: list[dict[str, float]]) -> str:
    costs = [run["cpu"] for run in runs]
    return f"{len(runs)} processes, {min(costs):.1f} to {max(costs):.1f} us"


def _best(clock: Callable[[], float], what: Callable[[], Any]) -> float:
    """Return microseconds of one, in the best round."""
    rounds = []
    for _ in range(_ROUNDS):
        began = clock()
        for _ in range(_BOOKINGS):
            what()
        rounds.append(1e6 * (clock() - began) / _BOOKINGS)
    return min(rounds)


def main() -> None:
    """Book, and print what that cost."""
    state = shared_state_of(sys.argv[1])
    assert state is not None

    booked = 0

    def book() -> Turn | None:
        nonlocal booked
        booked += 1
        return state.ask(lambda backend: backend.apply(_NAME, _BOOK))

    turn = book()
    assert turn is not None, "the state is there"
    assert turn.granted, "nothing limits the bookings"
    alone = SlotBook()
    costs = {
        "cpu": _best(time.process_time, book),
        "took": _best(time.perf_counter, book),
        "book": _best(time.process_time, lambda: alone.apply(_BOOK, time.time())),
    }
    print(json.dumps({**costs, "booked": booked}))


if __name__ == "__main__":
    main()

"""For how long polls have shown the same, as a table of polls."""

from __future__ import annotations

import math

import pytest

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.poll_history import PollHistory

RUNNING = parse_run({"status": "running"})
COMPLETED = parse_run({"status": "completed", "outputs": {}})
UNREADABLE = parse_run({"status": "completed"})
GONE = errors.NotFoundError("x", status=404, code="RUN_NOT_FOUND")
DOWN = errors.ServerError("x", status=503)
REFUSED = errors.AuthenticationError("x", status=401)

CASES: dict[str, tuple[list[tuple[object, float]], list[float]]] = {
    "the same": ([(GONE, 0), (GONE, 5), (GONE, 12)], [0, 5, 12]),
    "something between": ([(GONE, 0), (RUNNING, 5), (GONE, 6), (GONE, 8)], [0, 0, 0, 2]),
    "another error between": ([(GONE, 0), (DOWN, 5), (GONE, 6)], [0, 0, 0]),
    "a status": ([(RUNNING, 0), (RUNNING, 60)], [0, 60]),
    "outputs come": ([(UNREADABLE, 0), (UNREADABLE, 9), (COMPLETED, 10)], [0, 9, 0]),
    "a key that was good": ([(RUNNING, 0), (REFUSED, 5), (REFUSED, 9)], [0, 0, 4]),
    "a key that was good long ago": ([(RUNNING, 0), (REFUSED, 61)], [0, math.inf]),
    "a key that is not known to be good": ([(REFUSED, 0), (REFUSED, 1)], [math.inf, math.inf]),
    "a key that was good before a long outage of it": (
        [(RUNNING, 0), (REFUSED, 5), (REFUSED, 100)],
        [0, 0, 95],
    ),
}


@pytest.mark.parametrize(("polls", "lasting"), CASES.values(), ids=CASES.keys())
def test_how_long_it_has_lasted(polls: list[tuple[object, float]], lasting: list[float]) -> None:
    sights = PollHistory()
    assert [sights.lasting(seen, now) for seen, now in polls] == lasting


def test_a_key_may_be_known_to_be_good_from_elsewhere() -> None:
    assert PollHistory(good_at=100.0).lasting(REFUSED, 101.0) == 0

"""By how much the server's clock is ahead, as its Date headers tell."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from airflow_provider_bitscale.api.limit.clock import PERIOD, ServerClock

NOW = 1_800_000_000.0


def date(at: float) -> str:
    return formatdate(int(NOW + at), usegmt=True)


# Per answer: when it came, and the date in it, in seconds from NOW. Then what the clock says.
SEEN: dict[str, tuple[list[tuple[float, float]], float]] = {
    "equal": ([(0.0, 0.0)], 0.0),
    "so close that it is taken as equal": ([(0.0, 2.0), (1.0, -1.0)], 0.0),
    "ahead": ([(0.0, 30.0)], 30.0),
    "behind": ([(0.0, -500.0)], -500.0),
    "answered late, once: the largest difference counts": ([(0.0, 30.0), (9.0, 30.0), (9.5, 39.0)], 30.0),
    "a little more, which may be parts of a second": ([(0.0, 30.0), (1.0, 32.0)], 30.0),
    "set right, after two periods": ([(0.0, 30.0), (PERIOD, PERIOD), (2 * PERIOD, 2 * PERIOD)], 0.0),
    "set right, but the older difference is remembered": ([(0.0, 30.0), (PERIOD, PERIOD)], 30.0),
}


@pytest.mark.parametrize(("seen", "ahead"), SEEN.values(), ids=SEEN.keys())
def test_the_difference(seen: list[tuple[float, float]], ahead: float) -> None:
    clock = ServerClock()
    before, changes = 0.0, []
    for at, told in seen:
        changes.append((clock.seen(date(told), NOW + at), clock.ahead != before))
        before = clock.ahead
    assert clock.ahead == ahead
    assert all(told == real for told, real in changes), "it tells when it has changed"


@pytest.mark.parametrize("value", [None, "", "yesterday"])
def test_what_is_no_date_changes_nothing(value: str | None) -> None:
    clock = ServerClock()
    clock.seen(date(30), NOW)
    assert clock.seen(value, NOW) is False
    assert clock.ahead == 30


def test_a_date_that_was_seen_is_looked_at_again_only_by_another_clock_of_ours() -> None:
    clock = ServerClock()
    clock.seen(date(30), NOW)
    assert clock.seen(date(30), NOW - 60) is False
    clock.our_clock_was_set_back()
    assert clock.seen(date(30), NOW - 60) is True
    assert clock.ahead == 90


def test_when_our_clock_was_set_back_a_smaller_difference_is_believed_at_once() -> None:
    clock = ServerClock()
    clock.seen(date(30), NOW)
    clock.our_clock_was_set_back()
    assert clock.seen(date(10), NOW)
    assert clock.ahead == 10

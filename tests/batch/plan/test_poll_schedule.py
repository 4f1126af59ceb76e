"""Which run is looked at next, and how a delivery changes that."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch.plan.poll_schedule import FORGIVEN, PollSchedule
from airflow_provider_bitscale.batch.plan.run_times import FIRST_POLL
from airflow_provider_bitscale.runs.polling import SELDOM_SECONDS

NOW = 1000.0
FOREVER = float("inf")


def a_watch(
    rows: int = 1, *, timeout: float = FOREVER, told: bool = True, exact: bool = True
) -> PollSchedule:
    """A watch over runs that were submitted at NOW."""
    watch = PollSchedule(timeout, expects_deliveries=told)
    for row in range(rows):
        watch.add(row, NOW, exact=exact)
    return watch


def first_look(watch: PollSchedule, row: int = 0) -> float:
    """The age at which a run is looked at first, to a tenth of a second."""
    for tenths in range(10_000):
        if watch.next_poll(NOW + tenths / 10, eager=True) == row:
            return tenths / 10
    raise AssertionError("never")


@pytest.mark.parametrize(
    ("options", "age"),
    [
        ({"told": False}, FIRST_POLL),
        ({}, SELDOM_SECONDS),
        ({"timeout": 20.0}, 20.0),
        ({"exact": False}, 0.0),
    ],
)
def test_looks_are_rare_where_a_delivery_is_expected(options: dict[str, float], age: float) -> None:
    assert first_look(a_watch(**options)) == pytest.approx(age, abs=0.2)  # type: ignore[arg-type]


def test_runs_that_take_long_are_left_alone_for_longer() -> None:
    watch = a_watch(0)
    for _ in range(30):
        watch.durations.ended(0.0, 90.0)
    watch.add(1, NOW, exact=True)
    assert first_look(watch, 1) == pytest.approx(180.0, abs=1.0)


def test_between_looks_there_is_a_minute() -> None:
    watch = a_watch()
    watch.begin_poll(0)
    watch.not_ended(0, NOW + 60, 0.0)
    assert watch.next_poll(NOW + 119, eager=True) is None
    assert watch.next_poll(NOW + 121, eager=True) == 0


def test_a_run_that_is_told_is_looked_at_at_once_and_not_twice() -> None:
    watch = a_watch(3)
    watch.hint(1)
    watch.hint(1)
    assert watch.next_poll(NOW, eager=False) == 1
    watch.begin_poll(1)
    assert watch.next_poll(NOW + 1, eager=True) is None
    watch.ended(1, NOW + 1, None)
    assert watch.next_poll(NOW + 1, eager=True) is None
    assert len(watch) == 2


def test_a_run_that_is_told_while_it_is_looked_at_is_looked_at_again_soon() -> None:
    watch = a_watch()
    watch.begin_poll(0)
    watch.hint(0)
    assert watch.next_poll(NOW + 1, eager=True) is None
    watch.not_ended(0, NOW + 1, 0.0)
    assert watch.next_poll(NOW + 3, eager=True) == 0


def test_a_run_that_ends_by_its_delivery_is_not_looked_at() -> None:
    watch = a_watch(2)
    watch.hint(0)
    watch.ended(0, NOW, None)
    assert watch.next_poll(NOW + SELDOM_SECONDS, eager=True) == 1
    watch.begin_poll(1)
    assert watch.next_poll(NOW + 10 * SELDOM_SECONDS, eager=True) is None


def test_deliveries_that_do_not_come_are_not_relied_on() -> None:
    watch = a_watch(FORGIVEN)
    for row in range(FORGIVEN):
        watch.begin_poll(row)
        watch.ended(row, NOW + 60, None)
    watch.add(100, NOW, exact=True)
    watch.add(101, NOW, exact=True)
    assert watch.next_poll(NOW + 62, eager=False) is not None, "they are known to take a minute"
    watch.hint(100)
    watch.ended(100, NOW, None)
    watch.add(102, NOW, exact=True)
    watch.begin_poll(101)
    assert watch.next_poll(NOW + 62, eager=True) is None, "one was delivered"


def test_in_a_hurry_each_is_looked_at_once_more() -> None:
    watch = a_watch(3)
    watch.begin_poll(0)
    watch.hint(1)
    watch.hurry(NOW)
    seen = []
    while (row := watch.next_poll(NOW, eager=False)) is not None:
        seen.append(row)
        watch.begin_poll(row)
    assert sorted(seen) == [1, 2]
    assert watch.resting() == []

"""Which run is polled next, and how a delivery changes that."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.poll_schedule import FORGIVEN, PollSchedule
from airflow_provider_bitscale.runs.polling import SELDOM_SECONDS
from airflow_provider_bitscale.runs.run_times import FIRST_POLL

NOW = 1000.0
FOREVER = float("inf")


class Schedule:
    """Runs by the number of their row."""

    def __init__(self, timeout: float, *, delivers: bool) -> None:
        self.schedule = PollSchedule(timeout, expects_deliveries=delivers)
        self.rows: dict[int, BatchRow] = {}

    def add(self, number: int, since: float, *, exact: bool = True) -> None:
        row = self.rows[number] = BatchRow(number, 0, number, State.RUNNING, since=since, exact=exact)
        self.schedule.schedule(row)

    def poll(self, number: int) -> None:
        self.rows[number].state = State.POLLING

    def not_ended(self, number: int, now: float) -> None:
        self.rows[number].state = State.RUNNING
        self.schedule.not_ended(self.rows[number], now, 0.0)

    def hint(self, number: int) -> None:
        self.schedule.hint(self.rows[number])

    def ended(self, number: int, now: float) -> None:
        self.rows[number].state = State.DONE
        self.schedule.ended(self.rows[number], now, None)

    def next(self, now: float, *, eager: bool) -> int | None:
        row = self.schedule.next_row(now, eager=eager)
        return None if row is None else row.number


def scheduled(
    rows: int = 1, *, timeout: float = FOREVER, delivers: bool = True, exact: bool = True
) -> Schedule:
    """Runs that were submitted at NOW."""
    polls = Schedule(timeout, delivers=delivers)
    for row in range(rows):
        polls.add(row, NOW, exact=exact)
    return polls


def first_poll(polls: Schedule, row: int = 0) -> float:
    """The age at which a run is polled first, to a tenth of a second."""
    for tenths in range(10_000):
        if polls.next(NOW + tenths / 10, eager=True) == row:
            return tenths / 10
    raise AssertionError("never")


@pytest.mark.parametrize(
    ("options", "age"),
    [
        ({"delivers": False}, FIRST_POLL),
        ({}, SELDOM_SECONDS),
        ({"timeout": 20.0}, 20.0),
        ({"exact": False}, 0.0),
    ],
)
def test_polls_are_rare_where_a_delivery_is_expected(options: dict[str, float], age: float) -> None:
    assert first_poll(scheduled(**options)) == pytest.approx(age, abs=0.2)  # type: ignore[arg-type]


def test_runs_that_take_long_are_left_alone_for_longer() -> None:
    polls = scheduled(0)
    for _ in range(30):
        polls.schedule.run_times.add(0.0, 90.0)
    polls.add(1, NOW)
    assert first_poll(polls, 1) == pytest.approx(180.0, abs=1.0)


def test_between_polls_there_is_a_minute() -> None:
    polls = scheduled()
    polls.poll(0)
    polls.not_ended(0, NOW + 60)
    assert polls.next(NOW + 119, eager=True) is None
    assert polls.next(NOW + 121, eager=True) == 0


def test_a_run_that_is_delivered_is_polled_at_once_and_not_twice() -> None:
    polls = scheduled(3)
    polls.hint(1)
    polls.hint(1)
    assert polls.next(NOW, eager=False) == 1
    polls.poll(1)
    assert polls.next(NOW + 1, eager=True) is None
    polls.ended(1, NOW + 1)
    assert polls.next(NOW + 1, eager=True) is None
    assert [row.number for row in polls.schedule.rows()] == [0, 2]


def test_a_run_that_is_delivered_while_it_is_polled_is_polled_again_soon() -> None:
    polls = scheduled()
    polls.poll(0)
    polls.hint(0)
    assert polls.next(NOW + 1, eager=True) is None
    polls.not_ended(0, NOW + 1)
    assert polls.next(NOW + 3, eager=True) == 0


def test_a_run_that_ends_by_its_delivery_is_not_polled() -> None:
    polls = scheduled(2)
    polls.hint(0)
    polls.ended(0, NOW)
    assert polls.next(NOW + SELDOM_SECONDS, eager=True) == 1
    polls.poll(1)
    assert polls.next(NOW + 10 * SELDOM_SECONDS, eager=True) is None


def test_deliveries_that_do_not_come_are_not_relied_on() -> None:
    polls = scheduled(FORGIVEN)
    for row in range(FORGIVEN):
        polls.poll(row)
        polls.ended(row, NOW + 60)
    polls.add(100, NOW)
    polls.add(101, NOW)
    assert polls.next(NOW + 62, eager=False) is not None, "they are known to take a minute"
    polls.hint(100)
    polls.ended(100, NOW)
    polls.add(102, NOW)
    polls.poll(101)
    assert polls.next(NOW + 62, eager=True) is None, "one was delivered"


def test_in_a_hurry_each_is_polled_once_more() -> None:
    polls = scheduled(3)
    polls.poll(0)
    polls.hint(1)
    polls.schedule.hurry(NOW)
    seen = []
    while (row := polls.next(NOW, eager=False)) is not None:
        seen.append(row)
        polls.poll(row)
    assert sorted(seen) == [1, 2]
    assert polls.schedule.rows() == []

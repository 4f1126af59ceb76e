"""How long runs take, as far as they have been seen."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from airflow_provider_bitscale.runs.run_times import (
    EAGER,
    FIRST_POLL,
    PATIENT,
    REMEMBERED,
    RunTimes,
    likely_length,
)


def seen(*lengths: float) -> RunTimes:
    """Durations that know these."""
    run_times = RunTimes()
    for length in lengths:
        run_times.add(0.0, length, length)
    return run_times


def polled_at(run_times: RunTimes, length: float, impatience: float = PATIENT) -> list[float]:
    """The ages at which a run of this length is polled; the last finds its end, and is learned."""
    ages, age = [], 0.0
    while age < length:
        not_ended_at = age
        age = run_times.next_poll(age, impatience)
        assert age > not_ended_at
        ages.append(age)
        if age < length:
            run_times.add_age(age)
    run_times.add(not_ended_at, age, length)
    return ages


def test_where_nothing_is_known_the_oldest_run_goes_ahead() -> None:
    run_times = RunTimes()
    assert run_times.long_run == 0
    assert run_times.next_poll(0.0, PATIENT) == FIRST_POLL
    run_times.add_age(8.0)
    run_times.add_age(4.0)
    assert run_times.long_run == 8.0
    for age in (0.0, 4.0, 8.0):
        assert run_times.next_poll(age, PATIENT) == pytest.approx(10.0)


@pytest.mark.parametrize("length", [0.2, 5.0, 300.0])
@pytest.mark.parametrize("impatience", [PATIENT, EAGER])
def test_a_run_like_all_others_is_polled_once(length: float, impatience: float) -> None:
    poll = seen(*[length] * 50).next_poll(0.0, impatience)
    assert length < poll <= 1.1 * length + 0.2


def test_the_impatient_poll_earlier() -> None:
    run_times = seen(*[4.0] * 80, *[10.0] * 20)
    assert 4 < run_times.next_poll(0.0, EAGER) < 5
    assert 10 < run_times.next_poll(0.0, PATIENT) < 11


def test_a_few_long_runs_do_not_hold_up_the_polls_of_all_others() -> None:
    run_times = seen(*[4.0] * 95, *[60.0] * 5)
    assert run_times.next_poll(0.0, PATIENT) < 5
    assert 60 < run_times.next_poll(4.2, PATIENT) < 62, "whoever has not ended by then is one of the long"
    assert run_times.long_run == 60.0


def test_few_examples_are_not_taken_at_their_word() -> None:
    assert 100 < seen(*[2.0] * 50, *[100.0] * 20).next_poll(10.0, PATIENT) < 102
    assert 20 < seen(*[2.0] * 50, *[100.0] * 2).next_poll(10.0, PATIENT) < 21


@pytest.mark.parametrize("impatience", [PATIENT, EAGER])
def test_a_run_longer_than_all_that_are_known_is_polled_less_and_less(impatience: float) -> None:
    run_times = seen(*[1.0] * 50)
    ages = polled_at(run_times, 3600.0, impatience)
    assert len(ages) < 120
    assert ages[-1] < 1.3 * 3600
    gaps = [later - earlier for earlier, later in pairwise(ages[2:])]
    assert gaps == sorted(gaps)


@pytest.mark.parametrize(
    ("not_ended_at", "seen_at", "reported", "length"),
    [
        (3.0, 6.0, 4.5, 4.5),
        (3.0, 6.0, 6.0, 6.0),
        (3.0, 6.0, None, 6.0),
        (3.0, 6.0, 3.0, 6.0),
        (3.0, 6.0, 6.1, 6.0),
        (3.0, 6.0, -3600.0, 6.0),
        (0.0, 6.0, 0.0, 6.0),
    ],
)
def test_a_told_length_counts_where_it_can_be_true(
    not_ended_at: float, seen_at: float, reported: float | None, length: float
) -> None:
    run_times = RunTimes()
    run_times.add(not_ended_at, seen_at, reported)
    assert run_times.long_run == length


def test_a_late_poll_takes_the_length_from_what_is_known() -> None:
    run_times = seen(*[4.0] * 9)
    run_times.add(0.0, 30.0)
    assert run_times.long_run == 4.0
    run_times.add(5.0, 30.0)
    assert run_times.long_run == 30.0


@pytest.mark.parametrize("impatience", [PATIENT, EAGER])
@pytest.mark.parametrize(("before", "now"), [(3.0, 40.0), (40.0, 3.0)])
def test_runs_that_become_longer_or_shorter_are_learned(before: float, now: float, impatience: float) -> None:
    rng = random.Random(0)
    run_times = RunTimes()
    for length in (before, now):
        for _ in range(2 * REMEMBERED):
            ages = polled_at(run_times, length * rng.uniform(0.9, 1.1), impatience)
        assert len(run_times) == REMEMBERED
        assert 0.9 * length < run_times.long_run < 1.2 * length
        assert len(ages) <= 2
        assert ages[-1] < 1.3 * length


def test_the_latest_runs_count() -> None:
    run_times = seen(*[50.0] * REMEMBERED, *[2.0] * (REMEMBERED - 1))
    assert run_times.long_run == 2.0
    run_times.add_age(10.0)
    assert run_times.next_poll(10.0, PATIENT) > 20, "one of the old ones is remembered"
    run_times.add(0.0, 2.0, 2.0)
    assert len(run_times) == REMEMBERED
    assert run_times.next_poll(10.0, PATIENT) == 12.5


UNIFORM = [2.0 + 8.0 * number / 199 for number in range(200)]


@pytest.mark.parametrize(
    ("lengths", "age", "interval", "earliest", "latest"),
    [
        ([], 0.0, 5.0, 5.0, 5.0),
        ([], 7.0, 5.0, 12.0, 12.0),
        ([3.0] * 50, 0.0, 5.0, 3.0, 3.3),
        ([3.0], 0.0, 5.0, 3.0, 3.3),
        # Not before half of them have ended; not much later than those that hardly any undercuts.
        (UNIFORM, 0.0, 5.0, 5.9, 7.0),
        (UNIFORM, 7.4, 5.0, 9.0, 10.3),
        # An end is to be noticed sooner than a poll is worth.
        (UNIFORM, 0.0, 0.5, 2.0, 3.0),
        ([2.0] * 50 + [300.0] * 50, 0.0, 5.0, 2.0, 2.3),
        # Others had ended by then: it may end at any moment.
        ([2.0] * 50 + [300.0] * 50, 3.0, 5.0, 4.0, 4.0),
        ([3.0] * 50, 8.0, 5.0, 10.0, 10.0),
        ([20.0] * 50, 4.0, 5.0, 9.0, 9.0),
        ([300.0] * 50, 0.0, 5.0, 300.0, 300.3),
        ([300.0] * 50, 400.0, 5.0, 405.0, 405.0),
    ],
)
def test_one_who_waits_polls_when_it_costs_least(
    lengths: list[float], age: float, interval: float, earliest: float, latest: float
) -> None:
    poll = RunTimes(lengths).planned_poll(age, interval)
    assert earliest <= poll <= latest


@pytest.mark.parametrize("seed", range(20))
def test_an_end_is_noticed_within_an_interval_of_all_but_the_shortest(seed: int) -> None:
    chance = random.Random(seed)
    lengths = sorted(chance.lognormvariate(chance.uniform(0, 4), chance.uniform(0, 2)) for _ in range(100))
    interval = chance.choice([0.5, 2.0, 5.0, 60.0])
    run_times, age = RunTimes(lengths), 0.0
    while age < lengths[-1]:
        poll = run_times.planned_poll(age, interval)
        assert age < poll <= (age or lengths[5]) + interval
        age = poll


@pytest.mark.parametrize(
    ("not_ended_at", "seen_at", "interval", "least", "most"),
    [
        (0.0, 4.0, 5.0, 2.0, 4.0),
        (3.0, 4.0, 5.0, 3.0, 4.0),
        (0.0, 60.0, 5.0, 55.0, 60.0),
        (0.0, 0.0, 5.0, 0.0, 0.0),
    ],
)
def test_a_length_is_guessed_between_what_was_seen(
    not_ended_at: float, seen_at: float, interval: float, least: float, most: float
) -> None:
    assert likely_length(not_ended_at, seen_at, interval, 0.0) == most
    assert likely_length(not_ended_at, seen_at, interval, 1.0) == pytest.approx(least)


def test_lengths_from_elsewhere_are_outvoted_by_those_that_were_seen() -> None:
    run_times = RunTimes()
    run_times.learn([9.0] * 10)
    assert run_times.ended == 0
    for _ in range(200):
        run_times.add(0.0, 2.0, 2.0)
    assert run_times.ended == 200
    assert run_times.latest(3) == [2.0, 2.0, 2.0]
    assert run_times.latest(0) == []
    assert 2.0 < run_times.next_poll(0.0, EAGER) < 3.0

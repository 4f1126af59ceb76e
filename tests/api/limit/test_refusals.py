"""How long a 429 holds requests back, and how much slower they go on."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api.limit.refusals import (
    MAX_BACKOFF,
    RESET_MARGIN,
    SHARE_REGAINED,
    SMALLEST_SHARE,
    Refusals,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        pytest.param(7.0, 7.0, id="as asked"),
        pytest.param(0.25, 0.25, id="a fraction"),
        pytest.param(0.0, 1.0, id="no pause: not taken at its word"),
        pytest.param(None, 1.0, id="not told"),
    ],
)
def test_a_refusal_holds_back(asked: float | None, seconds: float) -> None:
    refusals = Refusals()
    refusals.refused(NOW, asked, jitter=0.0)
    assert refusals.delay(NOW) == pytest.approx(seconds + RESET_MARGIN)
    assert refusals.delay(NOW + seconds + 0.02) == 0


def test_the_longest_pause_asked_for_holds() -> None:
    refusals = Refusals()
    for asked in (5.0, 30.0, 1.0):
        refusals.refused(NOW, asked, jitter=0.0)
    assert refusals.delay(NOW) == pytest.approx(30 + RESET_MARGIN)
    refusals.hold(NOW + 20)
    assert refusals.delay(NOW) == pytest.approx(30 + RESET_MARGIN)


def test_pauses_grow_with_refusals_in_a_row_and_another_answer_forgets_them() -> None:
    refusals, now, waits = Refusals(), NOW, []
    for _ in range(9):
        refusals.refused(now, None, jitter=0.0)
        waits.append(refusals.delay(now))
        now += waits[-1]
    assert waits == [pytest.approx(min(2.0**n, MAX_BACKOFF) + RESET_MARGIN) for n in range(9)]
    refusals.passed()
    refusals.refused(now, None, jitter=0.0)
    assert refusals.delay(now) == pytest.approx(1 + RESET_MARGIN)


@pytest.mark.parametrize(("asked", "most"), [(10.0, 1.0), (2.0, 0.2), (0.0, 0.1)])
def test_those_who_wait_for_the_same_moment_are_spread(asked: float, most: float) -> None:
    delays = []
    for jitter in (0.0, 0.999999):
        refusals = Refusals()
        refusals.refused(NOW, asked, jitter)
        delays.append(refusals.delay(NOW))
    assert delays[1] - delays[0] == pytest.approx(most, abs=1e-4)


def test_requests_that_are_refused_together_are_one_refusal() -> None:
    refusals = Refusals()
    for _ in range(30):
        refusals.refused(NOW, None, jitter=0.0)
    assert refusals.delay(NOW) < 1.5
    assert refusals.share == 0.5


def test_the_share_of_the_rate_is_halved_to_a_least_and_comes_back_bit_by_bit() -> None:
    refusals, now, shares = Refusals(), NOW, []
    for _ in range(7):
        refusals.refused(now, 1.0, jitter=0.0)
        shares.append(refusals.share)
        now += 2
    assert shares == [0.5, 0.25, 0.125, 0.0625, SMALLEST_SHARE, SMALLEST_SHARE, SMALLEST_SHARE]
    refusals.passed()
    assert refusals.share == pytest.approx(SMALLEST_SHARE + SHARE_REGAINED)
    for _ in range(100):
        refusals.passed()
    assert refusals.share == 1.0


def test_a_clock_that_was_set_back_ends_the_pause() -> None:
    refusals = Refusals()
    refusals.refused(NOW, 30.0, jitter=0.0)
    refusals.our_clock_was_set_back(NOW - 3600)
    assert refusals.delay(NOW - 3600) == 0

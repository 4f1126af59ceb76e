"""What the server tells of its window, and how what is left of it is spread."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api.limit.refusals import RESET_MARGIN
from airflow_provider_bitscale.api.limit.traffic import UNTIL_AN_ANSWER, Traffic
from airflow_provider_bitscale.api.limit.window import Window
from tests.api.limit.test_rate_limit import NOW, window


def after(*told: tuple[float, dict[str, str]], in_flight: int = 0, late: int = 0) -> tuple[Window, Traffic]:
    """A window after answers, each to a request that left a moment before; then these are under way."""
    traffic = Traffic()
    a_window = Window(traffic)
    for at, headers in told:
        send(a_window, traffic, at)
        traffic.over(counted=False, answered=True)
        a_window.answered(NOW + at, headers, late=False, reset_is_documented=True)
    for _ in range(in_flight + late):
        send(a_window, traffic, max((at for at, _ in told), default=0.0))
    for _ in range(late):
        traffic.counted()
    return a_window, traffic


def send(a_window: Window, traffic: Traffic, at: float) -> None:
    traffic.sent(NOW + at)
    a_window.sent(NOW + at, share=1.0)


# What was told, what is under way, when; then the seconds to wait.
DELAYS: dict[str, tuple[list[tuple[float, dict[str, str]]], int, int, float, float]] = {
    "nothing told": ([], 9, 0, 0.0, 0.0),
    "more than half is left": ([(0, window(100, 99, 60))], 0, 0, 0.0, 0.0),
    "half is left, which is spread": ([(0, window(100, 50, 60))], 0, 0, 0.0, 60 / 50),
    "nothing is left": ([(0, window(100, 0, 60))], 0, 0, 0.0, 60 + RESET_MARGIN),
    "nothing was left of the last one": ([(0, window(100, 0, 60))], 0, 0, 61.0, 0.0),
    "all that is left is under way": ([(0, window(10, 9, 60))], 9, 0, 0.0, 60 + RESET_MARGIN),
    "those under way may be counted in the next": (
        [(0, window(4, 3, 60))], 4, 0, 61.0, UNTIL_AN_ANSWER,
    ),
    "those counted already are not": ([(0, window(4, 3, 60))], 0, 4, 61.0, 0.0),
    "others have taken most: all that is left is spread": (
        [(0, window(100, 99, 60)), (1, window(100, 80, 60))], 0, 0, 1.0, 59 / 80,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("told", "in_flight", "late", "at", "seconds"), DELAYS.values(), ids=DELAYS.keys())
def test_the_delay(
    told: list[tuple[float, dict[str, str]]], in_flight: int, late: int, at: float, seconds: float
) -> None:
    a_window, _ = after(*told, in_flight=in_flight, late=late)
    assert max(0.0, a_window.delay(NOW + at)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("told", "length"),
    [
        pytest.param([60], None, id="one reset says nothing"),
        pytest.param([60, 60], None, id="nor does the same one again"),
        pytest.param([60, 120], 60.0, id="two do"),
        pytest.param([60, 180, 240], 60.0, id="the shortest time counts"),
        pytest.param([60, 3_600_060], None, id="one that is too far off does not count"),
    ],
)
def test_how_long_a_window_is(told: list[float], length: float | None) -> None:
    a_window, _ = after(*((0, window(10, 9, reset)) for reset in told))
    assert a_window.length == length
    assert a_window.per_second == (None if length is None else 10 / length)


@pytest.mark.parametrize(("length", "seconds"), [(None, 1.0), (60, 1.0), (1, 0.1)])
def test_in_short_windows_requests_are_counted_sooner(length: float | None, seconds: float) -> None:
    resets = [60.0] if length is None else [60.0, 60.0 + length]
    a_window, _ = after(*((0, window(10, 9, reset)) for reset in resets))
    assert a_window.counted_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "is_used_up"),
    [
        (window(10, 0, 60), False),
        ({"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0"}, True),
        ({"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "1"}, False),
        ({"X-RateLimit-Limit": "10"}, False),
        ({}, False),
    ],
)
def test_whether_nothing_is_left_for_an_unknown_time(headers: dict[str, str], is_used_up: bool) -> None:
    a_window = Window(Traffic())
    assert a_window.answered(NOW, headers, late=False, reset_is_documented=True) is is_used_up


@pytest.mark.parametrize(("documented", "reset_at"), [(True, NOW + 3600), (False, None)])
def test_a_reset_far_off_is_believed_only_where_the_header_is_documented(
    documented: bool, reset_at: float | None
) -> None:
    a_window = Window(Traffic())
    a_window.answered(NOW, window(10, 9, NOW * 999), late=False, reset_is_documented=documented)
    assert a_window.reset_at == reset_at


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        (window(10, 0, 30), 30.0),
        ({**window(10, 0, 30), "Retry-After": "45"}, 45.0),
    ],
)
def test_how_long_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    a_window, _ = after((0, headers))
    assert a_window.asked_to_wait(NOW, headers) == seconds


def test_an_even_pace_begins_again_with_the_window() -> None:
    """Where answers tell of older windows only: what left before is a matter of the window that is over."""
    a_window, traffic = after((0, window(10, 9, 1)), (1.5, window(10, 9, 2)), late=9)
    assert a_window.length == 1.0
    assert a_window.delay(NOW + 1.9) > 0
    assert max(0.0, a_window.delay(NOW + 2.02)) == 0
    send(a_window, traffic, 2.02)
    assert a_window.delay(NOW + 2.02) == pytest.approx(1 / 9.5, rel=0.3)

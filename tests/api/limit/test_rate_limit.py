"""The pace of requests, step by step: what the server says, when time passes."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest

from airflow_provider_bitscale.api.limit.headers import MAX_PAUSE, parse_retry_after
from airflow_provider_bitscale.api.limit.rate_limit import RateLimit
from airflow_provider_bitscale.api.limit.refusals import RESET_MARGIN
from airflow_provider_bitscale.api.limit.traffic import UNLEARNED_IN_FLIGHT, UNTIL_AN_ANSWER

NOW = 1_800_000_000.0


def window(limit: float, remaining: float, reset: float, **more: str) -> dict[str, str]:
    """The documented headers; ``reset`` in seconds from NOW."""
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(int(NOW + reset)),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def ask(limit: RateLimit, at: float, headers: dict[str, str] | None = None, status: int = 200) -> None:
    """Send a request and have it answered in the same moment."""
    limit.sent(NOW + at)
    limit.answered(NOW + at, status, headers or {}, jitter=0.0)


def burst(limit: RateLimit, at: float, most: int = 10_000) -> int:
    """How many requests may leave in one moment."""
    for count in range(most):
        if limit.delay(NOW + at) > 0:
            return count
        limit.sent(NOW + at)
    return most


def learned(remaining: float = 99, limit: float = 100, reset: float = 60) -> RateLimit:
    a_limit = RateLimit()
    ask(a_limit, 0, window(limit, remaining, reset))
    return a_limit


def test_until_the_first_answer_only_a_few_are_under_way() -> None:
    limit = RateLimit()
    assert burst(limit, 0) == UNLEARNED_IN_FLIGHT
    assert limit.delay(NOW) == UNTIL_AN_ANSWER
    limit.failed()
    assert limit.delay(NOW) == 0
    limit.sent(NOW)
    limit.answered(NOW, 200, {}, jitter=0.0)
    assert burst(limit, 0) == 10_000, "a server without a limit is not held back"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Reset": str(int(NOW + 60))},
        {"X-RateLimit-Limit": "plenty", "X-RateLimit-Remaining": "many"},
        {"X-RateLimit-Limit": "-1", "X-RateLimit-Remaining": "nan"},
    ],
)
def test_headers_that_tell_nothing_change_nothing(headers: dict[str, str]) -> None:
    limit = RateLimit()
    ask(limit, 0, headers)
    assert burst(limit, 0, 500) == 500


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(
    "odd",
    [
        "Mon, 01 Jan 99999999999999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 -0000",
        "9" * 5000,
        "1e400",
        "-1",
        "nan",
        "\x00",
        "",
    ],
)
def test_no_header_is_too_odd(odd: str, status: int) -> None:
    names = ("Date", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    for headers in ({**window(100, 99, 60), name: odd} for name in names):
        limit = RateLimit()
        ask(limit, 0, headers, status)
        assert limit.delay(NOW) < 7200
        assert (parse_retry_after(odd, NOW) or 0.0) <= 7200


def test_half_a_window_leaves_at_once_and_the_rest_is_spread_to_its_end() -> None:
    limit = learned(remaining=99, limit=100)
    assert burst(limit, 0) == 49
    sent, at = 50, 0.0
    while sent < 99:
        at += limit.delay(NOW + at)
        assert at < 60
        limit.sent(NOW + at)
        sent += 1
    assert at == pytest.approx(60 * 49 / 50, rel=0.05)


@pytest.mark.parametrize("remaining", [0, 0.5])
def test_a_window_that_is_used_up_is_waited_out(remaining: float) -> None:
    limit = learned(remaining=remaining)
    assert limit.delay(NOW) == pytest.approx(60 + RESET_MARGIN)
    assert limit.delay(NOW + 59.9) > 0
    assert burst(limit, 60.02) == 100


def test_after_a_window_those_under_way_are_counted_in_the_next() -> None:
    limit = learned(remaining=9, limit=10)
    assert burst(limit, 0) == 4
    assert burst(limit, 61) == 6, "four of ten may yet arrive in the new window"


def test_requests_that_are_answered_late_are_counted_all_the_same() -> None:
    limit = learned(remaining=9, limit=10)
    assert burst(limit, 0) == 4
    for _ in range(4):
        limit.counted()
    assert burst(limit, 61) == 10, "synchronous runs are answered minutes later, and must not stop all else"


def test_answers_that_overtake_each_other_only_shrink_the_budget() -> None:
    limit = learned(remaining=9, limit=10)
    for _ in range(3):
        limit.sent(NOW + 1)
    for remaining in (6, 8, 7):
        limit.answered(NOW + 1, 200, window(10, remaining, 60), jitter=0.0)
    assert limit.delay(NOW + 1) == 0
    limit = learned(remaining=9, limit=10)
    for remaining in (0, 8):
        ask(limit, 1, window(10, remaining, 60))
    assert limit.delay(NOW + 1) == pytest.approx(59 + RESET_MARGIN)


def test_answers_that_were_counted_before_those_under_way_do_not_count_them_twice() -> None:
    limit = learned(remaining=99, limit=100)
    for _ in range(30):
        limit.sent(NOW)
    # All thirty have been counted when the first answer comes: 100 - 1 - 30.
    limit.answered(NOW, 200, window(100, 69, 60), jitter=0.0)
    assert burst(limit, 0) == 19, "69 are left, of which 50 are spread"


def test_an_answer_about_the_last_window_is_no_news() -> None:
    limit = learned(remaining=1, limit=10)
    limit.sent(NOW)
    assert limit.delay(NOW + 60.5) == 0
    limit.answered(NOW + 60.5, 200, window(10, 0, 60), jitter=0.0)
    assert limit.delay(NOW + 60.5) == 0
    limit.sent(NOW + 60.5)
    limit.answered(NOW + 60.6, 200, window(10, 0, 120), jitter=0.0)
    assert limit.delay(NOW + 60.6) > 50, "an answer about this one is"


def test_others_on_the_same_key_are_seen_in_what_remains() -> None:
    limit = learned(remaining=99, limit=100)
    limit.sent(NOW + 1)
    limit.sent(NOW + 1)
    limit.answered(NOW + 1, 200, window(100, 20, 60), jitter=0.0)
    # One of ours is still under way: 19 are left at worst, spread over the window.
    assert limit.delay(NOW + 1) == pytest.approx(59 / 19)
    limit = learned(remaining=99, limit=100)
    ask(limit, 1, window(100, 0, 60))
    assert limit.delay(NOW + 1) == pytest.approx(59 + RESET_MARGIN)


def test_a_limit_that_is_lowered_midway_holds_at_once() -> None:
    limit = learned(remaining=99, limit=100)
    ask(limit, 1, window(10, 2, 60))
    assert limit.delay(NOW + 1) == pytest.approx(59 / 2)


def test_a_limit_without_a_reset_is_probed_one_by_one() -> None:
    limit = RateLimit()
    headers = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0"}
    ask(limit, 0, headers)
    assert limit.delay(NOW) == pytest.approx(1.0)
    for at in (1.1, 2.2, 3.3):
        assert burst(limit, at) == 1
        assert limit.delay(NOW + at) == UNTIL_AN_ANSWER
        limit.answered(NOW + at, 200, headers, jitter=0.0)


@pytest.mark.parametrize("reset", [-3600.0, -1.5, 0.0])
def test_a_reset_in_the_past_does_not_block_for_ever(reset: float) -> None:
    limit = RateLimit()
    for at in (0.0, 0.1, 0.2, 90.0):
        assert burst(limit, at, 1) == 1
        limit.answered(NOW + at, 200, window(10, 5, reset), jitter=0.0)


def test_a_window_of_requests_that_all_fail_does_not_block_for_ever() -> None:
    limit = learned(remaining=0, limit=10)
    assert burst(limit, 61) == 10
    for _ in range(10):
        limit.failed()
    assert burst(limit, 61) == 1, "one finds out"
    limit.failed()
    assert burst(limit, 62) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param({"Retry-After": "0"}, 1.0, id="at once"),
        pytest.param({"Retry-After": formatdate(NOW + 9, usegmt=True)}, 9.0, id="date"),
        pytest.param({"Retry-After": "0.25"}, 0.25, id="a fraction"),
        pytest.param({"Retry-After": "999999"}, MAX_PAUSE, id="too long"),
        pytest.param({"Retry-After": "soon"}, 1.0, id="unreadable"),
        pytest.param({}, 1.0, id="no headers at all"),
        pytest.param(window(10, 0, 30), 30.0, id="until the reset"),
        pytest.param({**window(10, 0, 30), "Retry-After": "45"}, 45.0, id="longer than the reset"),
    ],
)
def test_after_a_429_nothing_leaves_before_its_time(headers: dict[str, str], seconds: float) -> None:
    limit = RateLimit()
    ask(limit, 0, headers, status=429)
    assert limit.delay(NOW) == pytest.approx(seconds + RESET_MARGIN, abs=0.02)
    assert limit.delay(NOW + seconds) > 0
    assert limit.delay(NOW + seconds + 0.02) == 0


@pytest.mark.parametrize("skew", [-500.0, -30.0, 30.0, 500.0])
def test_a_server_whose_clock_differs_is_understood_by_its_date(skew: float) -> None:
    limit = RateLimit()
    ask(limit, 0, window(10, 0, 60 + skew, Date=formatdate(NOW + skew, usegmt=True)))
    assert limit.delay(NOW) == pytest.approx(60 + RESET_MARGIN)
    limit = RateLimit()
    dates = {
        "Date": formatdate(NOW + skew, usegmt=True),
        "Retry-After": formatdate(NOW + skew + 9, usegmt=True),
    }
    ask(limit, 0, dates, status=429)
    assert limit.delay(NOW) == pytest.approx(9 + RESET_MARGIN)


def test_one_late_answer_says_nothing_about_the_clocks() -> None:
    def dated(at: float, remaining: float) -> dict[str, str]:
        return window(60, remaining, math.floor(at) + 1, Date=formatdate(int(NOW + at), usegmt=True))

    limit = RateLimit()
    ask(limit, 0.1, dated(0.1, 59))
    limit.sent(NOW + 0.2)
    limit.answered(NOW + 2.3, 200, dated(0.2, 58), jitter=0.0)
    ask(limit, 3.5, dated(3.5, 59))
    assert burst(limit, 3.6) == 29, "half a window at once, as ever"
    ask(limit, 3.7, dated(3.7, 20))
    assert limit.delay(NOW + 3.7) < 0.4, "the window ends at the full second, not two later"


def test_a_limit_of_nothing_is_probed_window_by_window() -> None:
    limit = RateLimit()
    for at in range(5):
        assert burst(limit, at + 0.5, 1) == 1
        limit.answered(NOW + at + 0.5, 429, window(0, 0, at + 1), jitter=0.0)
        assert limit.delay(NOW + at + 0.5) > 0


PER_SECOND: dict[str, tuple[RateLimit, float | None, float | None]] = {
    "nothing known": (RateLimit(), None, 20.0),
    "assumed": (RateLimit(assumed_per_second=5.0), 5.0, 20.0),
    "configured": (RateLimit(requests_per_minute=600), 10.0, 10.0),
    "configured above what the server allows": (RateLimit(requests_per_minute=6000), 100.0, 20.0),
    "configured in place of an assumed one": (
        RateLimit(requests_per_minute=120, assumed_per_second=5.0),
        2.0,
        2.0,
    ),
}


@pytest.mark.parametrize(("limit", "before", "after"), PER_SECOND.values(), ids=PER_SECOND.keys())
def test_the_rate_as_far_as_it_is_known(limit: RateLimit, before: float | None, after: float | None) -> None:
    assert limit.per_second == before
    ask(limit, 0, window(100, 99, 5))
    assert limit.per_second == before, "one reset does not tell how long a window is"
    ask(limit, 6, window(100, 99, 10))
    assert limit.per_second == after


def test_while_all_answers_are_about_older_windows_requests_leave_evenly() -> None:
    """As with synchronous runs, which are answered a minute after they were counted."""
    limit = RateLimit()
    ask(limit, 0, window(10, 9, 1))
    ask(limit, 1.5, window(10, 9, 2))
    limit.sent(NOW + 1.6)
    limit.counted()
    for at in (3.5, 3.5 + 1 / 9):
        assert burst(limit, at) == 1
        assert limit.delay(NOW + at) == pytest.approx(1 / 9.5, rel=0.3)
        limit.counted()
    for at in range(4, 20):
        limit.sent(NOW + at)
        limit.counted()
    ask(limit, 20.0, window(10, 9, 21))
    assert burst(limit, 20.0) == 4, "a fresh answer tells what is left: nine, of which five are spread"

"""What follows a failed attempt: a table of every error, and the sums of the waiting."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.retry import (
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    MAX_RATE_LIMITED,
    after_failure,
)

AGAIN, FAIL, AMBIGUOUS = "again", "fail", "ambiguous"


AMBIGUITY = "the run may have been started, or not"


def decide(error: BitScaleError, **changes: Any) -> float | BitScaleError:
    situation: dict[str, Any] = {"ambiguity": None, "attempt": 1, "elapsed": 0.0, "jitter": 0.5}
    return after_failure(error, **{**situation, **changes})


def verdict(error: BitScaleError, step: float | BitScaleError) -> str:
    if isinstance(step, float):
        return AGAIN
    if step is error:
        return FAIL
    assert type(step) is errors.AmbiguousSubmitError
    return AMBIGUOUS


# The error, then what follows at the first and at the last attempt: of a GET, and of a POST.
TABLE = {
    "429": (errors.RateLimitedError("x", status=429), (AGAIN, AGAIN), (AGAIN, AGAIN)),
    "never connected": (errors.TransportError("x", sent=False), (AGAIN, FAIL), (AGAIN, FAIL)),
    "no answer": (errors.TransportError("x"), (AGAIN, FAIL), (AMBIGUOUS, AMBIGUOUS)),
    "unreadable answer": (errors.TransportError("x", status=200), (AGAIN, FAIL), (AMBIGUOUS, AMBIGUOUS)),
    "redirect": (errors.TransportError("x", status=302), (FAIL, FAIL), (AMBIGUOUS, AMBIGUOUS)),
    "5xx": (errors.ServerError("x", status=503), (AGAIN, FAIL), (AMBIGUOUS, AMBIGUOUS)),
    "webhook": (
        errors.InvalidRequestError("x", code="WEBHOOK_DELIVERY_FAILED"),
        (FAIL, FAIL),
        (AMBIGUOUS, AMBIGUOUS),
    ),
    **{
        kind.__name__: (kind("x"), (FAIL, FAIL), (FAIL, FAIL))
        for kind in errors.KINDS.values()
        if kind not in (errors.RateLimitedError, errors.TransportError, errors.ServerError)
    },
}


@pytest.mark.parametrize(("error", "get", "post"), TABLE.values(), ids=TABLE.keys())
def test_what_follows_each_error(error: BitScaleError, get: tuple[str, str], post: tuple[str, str]) -> None:
    for ambiguity, expected in ((None, get), (AMBIGUITY, post)):
        steps = [decide(error, ambiguity=ambiguity, attempt=attempt) for attempt in (1, MAX_ATTEMPTS)]
        assert tuple(verdict(error, step) for step in steps) == expected


@pytest.mark.parametrize("error", [case[0] for case in TABLE.values()], ids=TABLE.keys())
def test_a_caller_with_its_own_patience_gets_one_attempt(error: BitScaleError) -> None:
    for ambiguity in (None, AMBIGUITY):
        assert isinstance(decide(error, ambiguity=ambiguity, max_attempts=1), BitScaleError)


def test_an_ambiguous_error_says_what_happened() -> None:
    lost = errors.ServerError("boom", status=502, code="C", request="POST /x", retry_after=4)
    step = decide(lost, ambiguity=AMBIGUITY)
    assert isinstance(step, BitScaleError)
    assert step.fields() == {**lost.fields(), "message": step.message}
    assert step.message == f"{AMBIGUITY}: boom"


@pytest.mark.parametrize(("attempt", "middle"), [(1, 0.5), (2, 1.0), (3, 2.0)])
def test_the_backoff_doubles_and_is_spread_by_a_quarter(attempt: int, middle: float) -> None:
    waits = []
    for jitter in (0.0, 0.5, 0.999999):
        step = decide(errors.ServerError("x"), attempt=attempt, jitter=jitter)
        assert isinstance(step, float)
        waits.append(step)
    assert waits == [pytest.approx(middle * share, rel=1e-4) for share in (0.75, 1.0, 1.25)]


def test_the_backoff_has_a_ceiling_and_no_overflow() -> None:
    step = decide(errors.RateLimitedError("x"), attempt=1000, jitter=0.0)
    assert step == MAX_BACKOFF * 0.75


@pytest.mark.parametrize("kind", [errors.RateLimitedError, errors.ServerError, errors.TransportError])
@pytest.mark.parametrize("seconds", [42.0, 7.5])
def test_the_servers_own_wish_goes_before_the_backoff(kind: type[BitScaleError], seconds: float) -> None:
    assert decide(kind("x", retry_after=seconds)) == seconds


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_a_server_that_asks_for_no_pause_is_not_taken_at_its_word(seconds: float) -> None:
    error = errors.RateLimitedError("x", retry_after=seconds)
    assert decide(error) == decide(errors.RateLimitedError("x"))
    wait = decide(error, attempt=100_000)
    assert isinstance(wait, float)
    assert wait >= MAX_BACKOFF * 0.75


@pytest.mark.parametrize(
    ("elapsed", "retry_after", "again"),
    [
        (0.0, MAX_RATE_LIMITED, True),
        (0.0, MAX_RATE_LIMITED + 1, False),
        (MAX_RATE_LIMITED - 50, 50.0, True),
        (MAX_RATE_LIMITED - 50, 51.0, False),
        (MAX_RATE_LIMITED, None, False),
    ],
)
@pytest.mark.parametrize("ambiguity", [None, AMBIGUITY])
def test_being_rate_limited_is_borne_for_a_while_only(
    elapsed: float, retry_after: float | None, again: bool, ambiguity: str | None
) -> None:
    error = errors.RateLimitedError("x", retry_after=retry_after)
    step = decide(error, attempt=50, elapsed=elapsed, ambiguity=ambiguity)
    assert verdict(error, step) == (AGAIN if again else FAIL)

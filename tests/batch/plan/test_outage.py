"""Whether BitScale can be reached, and how long to rest while it cannot."""

from __future__ import annotations

import asyncio
import time

import pytest

from airflow_provider_bitscale.api import AsyncClient, ClientConfig, errors
from airflow_provider_bitscale.api.retry import MAX_BACKOFF
from airflow_provider_bitscale.batch.plan.outage import Outage
from tests.support.servers import answering, http_answer

NOW = 1000.0
# 2024-04-15 12:00:00 UTC
NOON = 1_713_182_400.0


def left_at(seconds: float, error: errors.BitScaleError) -> errors.BitScaleError:
    error.left_at = seconds
    return error


def an_outage(failures: int, error: errors.BitScaleError | None = None) -> Outage:
    """That many failures, a second after each other from NOW on."""
    outage = Outage()
    for second in range(failures):
        outage.note(left_at(NOW + second, error or errors.TransportError("cut")), NOW + second)
    return outage


SEEN: list[tuple[errors.BitScaleError, bool]] = [
    (errors.TransportError("cut"), True),
    (errors.ServerError("x", status=503), True),
    (errors.AmbiguousSubmitError("x"), True),
    (errors.AmbiguousSubmitError("x", status=422, code="WEBHOOK_DELIVERY_FAILED"), False),
    (errors.AuthenticationError("x", status=401), True),
    (errors.RateLimitedError("x", status=429), False),
    (errors.NotFoundError("x", status=404), False),
    (errors.InvalidRequestError("x", status=400), False),
]


@pytest.mark.parametrize(("error", "unreachable"), SEEN, ids=lambda each: type(each).__name__)
def test_which_answers_are_none(error: errors.BitScaleError, unreachable: bool) -> None:
    outage = an_outage(3, error)
    assert (outage.describe(NOW + 3, NOON) is not None) is unreachable
    assert (outage.rest(NOW + 2) > 0) is unreachable


def test_submissions_of_unknown_fate_make_it_rest() -> None:
    outage = Outage()

    async def submit(url: str) -> None:
        config = ClientConfig(api_key="a-key", workspace_id="ws", base_url=url, timeout=2.0)
        async with AsyncClient(config) as client:
            for _ in range(3):
                with pytest.raises(errors.AmbiguousSubmitError) as caught:
                    await client.run_grid("g", {})
                outage.note(caught.value, time.monotonic())

    with answering(*[http_answer(b"", "502 Bad Gateway")] * 3) as server:
        asyncio.run(submit(server.url))
    assert outage.rest(time.monotonic()) > 0
    assert outage.describe(NOW, NOON) is not None


def test_pauses_grow_to_half_a_minute() -> None:
    pauses = [an_outage(failures).rest(NOW + failures - 1) for failures in range(1, 11)]
    assert pauses == [0, 0.5, 1, 2, 4, 8, 16, MAX_BACKOFF, MAX_BACKOFF, MAX_BACKOFF]
    assert an_outage(5).rest(NOW + 4 + 3) == 1.0


def test_it_is_told_since_when_and_why() -> None:
    outage = an_outage(4, errors.ServerError("overloaded", status=503, request="GET /runs/1"))
    assert outage.describe(NOW + 60, NOON + 60) == (
        "cannot reach BitScale since 12:00:00 UTC (GET /runs/1: 503: overloaded)"
    )


@pytest.mark.parametrize("failures", [0, 1])
def test_what_happens_to_one_request_alone_is_not_told(failures: int) -> None:
    outage = an_outage(failures)
    assert outage.describe(NOW, NOON) is None
    assert outage.rest(NOW) == 0


def test_any_answer_ends_it() -> None:
    outage = an_outage(6)
    outage.note("an answer", NOW + 7)
    assert outage.describe(NOW + 7, NOON) is None
    assert outage.rest(NOW + 7) == 0


def test_requests_that_were_under_way_together_count_once() -> None:
    outage = an_outage(2)
    for _ in range(60):
        outage.note(left_at(NOW + 0.5, errors.TransportError("cut")), NOW + 1.1)
    assert outage.rest(NOW + 1) == 0.5


def test_for_how_long_a_key_has_been_refused() -> None:
    refused = errors.AuthenticationError("x", status=401)
    outage = Outage()
    outage.note(left_at(NOW, refused), NOW)
    assert outage.key_refused_for == float("inf"), "it is not known to have been good"
    outage.note("an answer", NOW + 1)
    for second in (2, 5, 9):
        outage.note(left_at(NOW + second, refused), NOW + second)
    assert outage.key_refused_for == 7

"""A run is paid for at most once: what is not known to be unprocessed is never sent again."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import (
    AmbiguousSubmitError,
    AsyncClient,
    BitScaleError,
    Client,
    ClientConfig,
    InsufficientCreditsError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitedError,
    RunLimitExceededError,
    TransportError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.api.async_client import MAX_CONNECTIONS
from airflow_provider_bitscale.api.contracts import workspace_key
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from tests.support.clients import RECIPE, Caller, Opener, config_for, jane, posts
from tests.support.hooks import KINDS, connect, hook_caller

# What is answered by a success is accepted, and paid for, be it readable or not.
ACCEPTED = ("an empty answer", "half an answer", "an array", "a truncated answer", "no run id")
# The fault, and how many runs are paid for under it.
LOST: dict[str, tuple[dict[str, Any], int]] = {
    "the answer is lost": ({"kind": "lost_answer"}, 1),
    "the request is lost": ({"kind": "lost_request"}, 0),
    "no answer in time": ({"kind": "latency", "seconds": 2}, 1),
    "500 before the work": ({"kind": "status", "status": 500}, 0),
    "502 page before the work": ({"kind": "status", "status": 502, "body": "<html>Bad Gateway</html>"}, 0),
    "503 with Retry-After": ({"kind": "status", "status": 503, "headers": {"Retry-After": "0"}}, 0),
    "408": ({"kind": "status", "status": 408, "body": "<html>Request Timeout</html>"}, 0),
    "500 after the work": ({"kind": "server_error_after_work"}, 1),
    "504 after the work": ({"kind": "server_error_after_work", "status": 504}, 1),
    "an empty answer": ({"kind": "empty"}, 1),
    "half an answer": ({"kind": "half_json"}, 1),
    "an array": ({"kind": "array"}, 1),
    "a truncated answer": ({"kind": "truncated"}, 1),
    "no run id": ({"kind": "status", "status": 200, "body": '{"mode": "async", "status": "queued"}'}, 0),
    "a redirect": ({"kind": "redirect", "location": "/api/v1/grids/grid_001/run"}, 0),
    "a redirect that keeps the method": ({"kind": "redirect", "location": "/x", "status": 307}, 0),
    "a redirect to nowhere": ({"kind": "redirect", "location": "http://[::1"}, 0),
    "a webhook that was not reached": (
        {"kind": "status", "status": 422, "code": "WEBHOOK_DELIVERY_FAILED"},
        0,
    ),
}


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("name", LOST)
def test_one_post_and_an_error_of_its_own(
    open_client: Opener,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    mode: str,
) -> None:
    fault, paid = LOST[name]
    # What is waited for in any case, else, is more than a test has time for.
    monkeypatch.setattr(workspace_key, "SYNC_ANSWER_TIMEOUT", 0.4)
    emulator.control.add_fault(**fault, on="run_grid")
    client = open_client(config_for(emulator, timeout=0.4))
    accepted = name in ACCEPTED
    with pytest.raises(UnreadableAcceptanceError if accepted else AmbiguousSubmitError) as caught:
        client("run_grid", GRID_ID, jane(emulator), mode=mode, timeout=0.4)
    assert len(posts(emulator)) == 1
    assert emulator.control.state()["runs_paid"] == paid
    assert caught.value.request == "POST /grids/grid_001/run"
    words = "was accepted and is paid for" if accepted else "may have been started and paid for"
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("lost_answer", exceptions.AmbiguousSubmitError),
        ("server_error_after_work", exceptions.AmbiguousSubmitError),
        ("half_json", exceptions.UnreadableAcceptanceError),
    ],
)
def test_the_hook_raises_what_no_retry_of_the_task_repeats(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str, error: type[Exception]
) -> None:
    connect(monkeypatch, emulator)
    emulator.control.add_fault(fault, on="run_grid")
    with pytest.raises(error):
        hook_caller(kind)("run_grid", GRID_ID, jane(emulator))
    assert (len(posts(emulator)), emulator.control.state()["runs_paid"]) == (1, 1)


# Not each with each: a pause that is asked for with 0 doubles from one second on.
@pytest.mark.parametrize(("times", "retry_after"), [(1, 0), (2, 0.2)])
def test_429_is_sent_again_and_processed_once(
    client: Caller, emulator: Emulator, times: int, retry_after: float
) -> None:
    emulator.control.add_fault("storm", on="run_grid", times=times, retry_after=retry_after)
    started = time.monotonic()
    assert client("run_grid", GRID_ID, jane(emulator)).run_id
    assert time.monotonic() - started >= times * retry_after
    assert [request["status"] for request in posts(emulator)] == [429] * times + [200]
    assert emulator.control.state()["runs_paid"] == 1


def test_429_and_then_a_lost_answer_is_ambiguous(client: Caller, emulator: Emulator) -> None:
    emulator.control.add_fault("storm", on="run_grid", times=1, retry_after=0)
    emulator.control.add_fault("lost_answer", on="run_grid")
    with pytest.raises(AmbiguousSubmitError):
        client("run_grid", GRID_ID, jane(emulator))
    assert [request["status"] for request in posts(emulator)] == [429, None]


def test_429_that_lasts_too_long_is_told_and_was_not_processed(open_client: Opener, contract: str) -> None:
    with Emulator(contract=contract) as emulator:
        emulator.control.add_fault("storm", on="run_grid", retry_after=4000)
        client = open_client(config_for(emulator))
        with pytest.raises(RateLimitedError) as caught:
            client("run_grid", GRID_ID, jane(emulator))
        assert (caught.value.retry_after, len(posts(emulator))) == (300, 1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def closed(emulator: Emulator, port: int) -> ClientConfig:
    """A configuration for an emulator that is not there yet."""
    return config_for(emulator, base_url=f"http://127.0.0.1:{port}/api/v1")


def test_a_refused_connection_is_tried_again_and_processed_once(open_client: Opener, contract: str) -> None:
    port = free_port()
    emulator = Emulator(contract=contract, port=port)
    opening = threading.Timer(0.3, emulator.start)
    opening.start()
    try:
        client = open_client(closed(emulator, port))
        assert client("run_grid", GRID_ID, jane(emulator), recipe=RECIPE).run_id
        assert len(posts(emulator)) == 1
        assert emulator.control.state()["runs_paid"] == 1
    finally:
        opening.join()
        emulator.close()


def test_a_connection_that_stays_refused_is_no_ambiguity(open_client: Opener, contract: str) -> None:
    emulator = Emulator(contract=contract)
    client = open_client(closed(emulator, free_port()))
    with pytest.raises(TransportError) as caught:
        client("run_grid", GRID_ID, jane(emulator), recipe=RECIPE)
    assert not caught.value.sent


REFUSALS: dict[str, tuple[int, str, type[BitScaleError]]] = {
    "credits 402": (402, "INSUFFICIENT_CREDITS", InsufficientCreditsError),
    "credits 403": (403, "INSUFFICIENT_CREDITS", InsufficientCreditsError),
    "credits 500": (500, "INSUFFICIENT_CREDITS", InsufficientCreditsError),
    "quota 403": (403, "RUN_LIMIT_EXCEEDED", RunLimitExceededError),
    "quota 429": (429, "RUN_LIMIT_EXCEEDED", RunLimitExceededError),
    "field": (400, "MISSING_REQUIRED_FIELD", InvalidRequestError),
    "type": (422, "INVALID_COLUMN_TYPE", InvalidRequestError),
    "forbidden": (403, "FORBIDDEN", PermissionDeniedError),
}


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_documented_refusal_is_one_post_and_its_own_error(
    client: Caller, emulator: Emulator, status: int, code: str, kind: type[BitScaleError]
) -> None:
    emulator.control.add_fault(
        "status", status=status, code=code, message="no", on="run_grid", headers={"Retry-After": "0"}
    )
    with pytest.raises(kind) as caught:
        client("run_grid", GRID_ID, jane(emulator))
    assert (type(caught.value), caught.value.code, caught.value.message) == (kind, code, "no")
    assert len(posts(emulator)) == 1


def test_credits_and_quota_that_really_run_out(open_client: Opener, contract: str) -> None:
    with Emulator(contract=contract, credits=20, run_limit=1) as emulator:
        client = open_client(config_for(emulator))
        assert client("run_grid", GRID_ID, jane(emulator)).run_id
        with pytest.raises(RunLimitExceededError):
            client("run_grid", GRID_ID, jane(emulator))
    with Emulator(contract=contract, credits=3) as emulator:
        with pytest.raises(InsufficientCreditsError):
            open_client(config_for(emulator))("run_grid", GRID_ID, jane(emulator))
        assert (len(posts(emulator)), emulator.control.state()["runs_paid"]) == (1, 0)


def test_the_intent_is_written_when_the_request_leaves_and_taken_back_when_it_was_not_processed(
    contract: str,
) -> None:
    told: list[tuple[str, int]] = []

    class Observer:
        def about_to_send(self) -> None:
            told.append(("intent", len(posts(emulator))))

        def not_processed(self) -> None:
            told.append(("none", len(posts(emulator))))

    with Emulator(contract=contract) as emulator, Client(config_for(emulator)) as client:
        emulator.control.add_fault("storm", on="run_grid", times=1)
        client.run_grid(GRID_ID, jane(emulator), observer=Observer())
    assert told == [("intent", 0), ("none", 1), ("intent", 1)]


def test_a_submission_that_never_got_a_connection_is_no_ambiguity(contract: str) -> None:
    """All connections of the async client are taken, for longer than a submission is given."""

    async def scenario(emulator: Emulator) -> None:
        async with AsyncClient(config_for(emulator, timeout=1.0)) as client:
            await client.get_workspace()
            recipe = await client.needed_recipe(GRID_ID)
            emulator.control.add_fault("latency", on="get_grid", seconds=30)
            taken = [
                asyncio.ensure_future(client.send(client.contract.get_grid(GRID_ID), patient=False))
                for _ in range(MAX_CONNECTIONS)
            ]
            await asyncio.sleep(0.3)
            run = await client.run_grid(GRID_ID, jane(emulator), recipe=recipe, timeout=0.3)
            assert run.run_id
            await asyncio.gather(*taken, return_exceptions=True)

    with Emulator(contract=contract) as emulator:
        asyncio.run(scenario(emulator))
        assert (emulator.control.state()["runs_paid"], len(posts(emulator))) == (1, 1)

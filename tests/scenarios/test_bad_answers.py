"""A run that cannot be seen has not failed: the wait goes on, at its pace, until the deadline."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import AuthenticationError, NotFoundError, RunStatus, RunTimedOutError
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.outcome import COMPLETED
from airflow_provider_bitscale.runs.polling import CreditsDecision
from tests.support.clients import jane, polls, posts
from tests.support.hooks import KINDS, HookCaller, connect, hook_caller

INTERVAL = 0.05
BAD_FOR = 0.2

BAD: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502 page": {"kind": "status", "status": 502, "body": "<html><h1>502 Bad Gateway</h1></html>"},
    "503 with a word": {"kind": "status", "status": 503, "headers": {"Retry-After": "0.1"}},
    "408": {"kind": "status", "status": 408},
    "429": {"kind": "storm", "retry_after": 0.1},
    "nothing": {"kind": "empty"},
    "half a JSON": {"kind": "half_json"},
    "an array": {"kind": "array"},
    "a truncated answer": {"kind": "truncated"},
    "a cut connection": {"kind": "lost_answer"},
    "an unknown status": {"kind": "unknown_status", "value": "paused"},
    "another run": {
        "kind": "status",
        "status": 200,
        "body": json.dumps({"run_id": "run_other", "status": "failed", "error": "not ours"}),
    },
    "a redirect": {"kind": "redirect", "location": "https://login.example/"},
}


@pytest.fixture(params=KINDS)
def call(request: pytest.FixtureRequest, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> HookCaller:
    """A hook's methods, or their async twins."""
    connect(monkeypatch, emulator)
    return hook_caller(request.param)


@pytest.mark.parametrize("fault", BAD.values(), ids=BAD.keys())
def test_the_wait_neither_fails_nor_spins_and_then_completes(
    call: HookCaller, emulator: Emulator, fault: dict[str, Any]
) -> None:
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    started = time.monotonic()
    emulator.control.add_fault(**fault, on="get_run", for_seconds=BAD_FOR)
    run = call("wait_for_run", GRID_ID, run_id, poll_interval=INTERVAL, timeout=30)
    took = time.monotonic() - started
    assert (run.run_id, run.status) == (run_id, RunStatus.COMPLETED)
    assert BAD_FOR < took < BAD_FOR + 2
    count = len(polls(emulator))
    # aiohttp sends a GET once more on a connection that was cut: two requests a poll at most.
    assert 2 <= count <= (took / (0.9 * INTERVAL) + 2) * (2 if fault["kind"] == "lost_answer" else 1)
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("fault", ["500", "nothing", "an unknown status", "another run", "a cut connection"])
def test_at_the_deadline_the_outcome_is_unknown_and_not_a_failure(
    call: HookCaller, emulator: Emulator, fault: str
) -> None:
    emulator.control.add_fault(**BAD[fault], on="get_run")
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    started = time.monotonic()
    with pytest.raises(exceptions.RunTimedOutError, match="may go on"):
        call("wait_for_run", GRID_ID, run_id, poll_interval=INTERVAL, timeout=0.3)
    assert 0.3 <= time.monotonic() - started < 1.5


def test_one_last_poll_at_the_deadline_and_no_more(call: HookCaller, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    started = time.time()
    with pytest.raises(RunTimedOutError, match="last seen running at the deadline"):
        call("wait_for_run", GRID_ID, run_id, poll_interval=60, timeout=0.5)
    first, last = polls(emulator)
    assert first["at"] - started < 0.3
    assert last["at"] - started == pytest.approx(0.5, abs=0.15)


def test_the_last_poll_may_find_the_run_completed(call: HookCaller, emulator: Emulator) -> None:
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    run = call("wait_for_run", GRID_ID, run_id, poll_interval=60, timeout=0.4)
    assert run.status is RunStatus.COMPLETED
    assert len(polls(emulator)) <= 2


def test_a_deadline_that_has_passed_still_gets_its_poll(call: HookCaller, emulator: Emulator) -> None:
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    time.sleep(0.15)
    assert call("wait_for_run", GRID_ID, run_id, timeout=-100).status is RunStatus.COMPLETED
    assert len(polls(emulator)) == 1


def test_only_bitscales_own_failed_is_a_failure(call: HookCaller, emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", message="no such person")
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    with pytest.raises(exceptions.RunFailedError, match="no such person"):
        call("wait_for_run", GRID_ID, run_id, poll_interval=INTERVAL, timeout=10)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401, "code": "INVALID_API_KEY"}, AuthenticationError),
        ({"status": 404, "code": "GRID_NOT_FOUND"}, NotFoundError),
    ],
    ids=["401", "404"],
)
@pytest.mark.usefixtures("impatient")
def test_what_waiting_cannot_cure_is_told_at_once(
    call: HookCaller, emulator: Emulator, fault: dict[str, Any], kind: type[Exception]
) -> None:
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("status", **fault, on="get_run")
    with pytest.raises(kind):
        call("wait_for_run", GRID_ID, run_id, poll_interval=INTERVAL, timeout=30)
    assert len(polls(emulator)) == 1


@pytest.mark.parametrize("code", ["RUN_NOT_FOUND", "GRID_NOT_FOUND"])
def test_a_replica_that_does_not_know_the_run_yet_is_waited_for(
    call: HookCaller, emulator: Emulator, code: str
) -> None:
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("status", status=404, code=code, on="get_run", times=3)
    run = call("wait_for_run", GRID_ID, run_id, poll_interval=INTERVAL, timeout=30)
    assert run.status is RunStatus.COMPLETED
    assert len(polls(emulator)) >= 4


def test_a_key_that_is_refused_for_a_moment_between_good_answers(
    call: HookCaller, emulator: Emulator
) -> None:
    run_id = call("run_grid", GRID_ID, jane(emulator)).run_id
    emulator.control.add_fault("status", status=401, code="INVALID_API_KEY", on="get_run", after=1, times=2)
    run = call("wait_for_run", GRID_ID, run_id, poll_interval=INTERVAL, timeout=30)
    assert run.status is RunStatus.COMPLETED


def test_the_wait_for_credits_bears_the_same(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator)
    emulator.control.add_fault("array", on="get_workspace", times=1)
    decision = CreditsDecision(time.time() + 30, INTERVAL, 100)
    outcome = asyncio.run(BitScaleHook().awatch_credits(None, decision))
    assert (outcome.kind, outcome.data) == (
        COMPLETED,
        {"total": 100_000, "used": 34_200, "remaining": 65_800},
    )
    assert len(emulator.control.requests()) == 2

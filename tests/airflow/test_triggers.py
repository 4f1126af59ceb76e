"""Triggers: one event, JSON only, a deadline that does not move, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_bitscale.api import shared_client
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.triggers.credits import CreditsTrigger
from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger
from tests.airflow.conftest import Connect
from tests.support.clients import jane, polls, posted_bodies
from tests.support.task_runs import fire, recreated

CONTRACTS = API_CONTRACTS

EMAIL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


def submitted(emulator: Emulator) -> str:
    run_id = BitScaleHook().run_grid("grid_001", jane(emulator)).run_id
    assert run_id is not None
    return run_id


def run_trigger(run_id: str, *, seconds: float = 5, **changes: Any) -> RunCompletedTrigger:
    arguments = {"grid_id": "grid_001", "poll_interval": 0.1, "deadline": time.time() + seconds, **changes}
    return RunCompletedTrigger(bitscale_conn_id="bitscale_default", run_id=run_id, **arguments)


def credits_trigger(*, seconds: float = 5, **changes: Any) -> CreditsTrigger:
    return CreditsTrigger(
        **{
            "bitscale_conn_id": "bitscale_default",
            "workspace_id": None,
            "min_credits": 100,
            "poll_interval": 0.1,
            "deadline": time.time() + seconds,
            **changes,
        }
    )


def test_a_completed_run_is_an_event_with_what_bitscale_said(emulator: Emulator) -> None:
    run_id = submitted(emulator)
    event = fire(run_trigger(run_id))
    assert (event["outcome"], event["error"]) == ("completed", None)
    assert (event["data"]["run_id"], event["data"]["status"]) == (run_id, "completed")
    assert event["data"]["outputs"][EMAIL]


def test_a_failed_run_is_an_event_not_an_exception(emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", message="the agent gave up")
    event = fire(run_trigger(submitted(emulator)))
    assert event["outcome"] == "failed"
    assert event["data"]["error"].removeprefix("RUN_FAILED: ") == "the agent gave up"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "AuthenticationError"), (403, "PermissionDeniedError"), (404, "NotFoundError")]
)
@pytest.mark.usefixtures("impatient")
def test_a_refusal_is_an_event_with_its_error(status: int, kind: str, emulator: Emulator) -> None:
    run_id = submitted(emulator)
    emulator.control.add_fault("status", status=status)
    for trigger in (run_trigger(run_id), credits_trigger()):
        event = fire(trigger)
        assert (event["outcome"], event["error"]["kind"]) == ("refused", kind)
        assert event["error"]["status"] == status


def test_credits_seen_are_the_event(emulator: Emulator) -> None:
    event = fire(credits_trigger())
    assert event["data"] == {"total": 100_000, "used": 34_200, "remaining": 65_800}


def test_no_event_and_no_row_holds_the_key(emulator: Emulator, connect: Connect) -> None:
    emulator.control.add_fault("status", status=401, message=f"no such key: {emulator.api_key}")
    for trigger in (run_trigger("run_1"), credits_trigger()):
        assert emulator.api_key not in json.dumps(trigger.serialize())
        assert emulator.api_key not in json.dumps(fire(trigger))
        assert emulator.api_key not in repr(trigger)


def test_a_run_that_does_not_end_is_polled_once_more_at_the_deadline(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run_id = submitted(emulator)
    deadline = time.time() + 0.6
    event = fire(run_trigger(run_id, deadline=deadline, poll_interval=60))
    assert 0 <= time.time() - deadline < 1
    assert (event["outcome"], event["data"]["status"]) == ("timed_out", "running")
    times = [poll["at"] for poll in polls(emulator)]
    assert times[-1] >= deadline - 0.05


def test_a_deadline_that_has_passed_still_leaves_one_poll(emulator: Emulator) -> None:
    run_id = submitted(emulator)
    BitScaleHook().wait_for_run("grid_001", run_id, poll_interval=0.05)
    assert fire(run_trigger(run_id, seconds=-3600))["outcome"] == "completed"


def test_a_restart_does_not_move_the_deadline(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    trigger: Any = run_trigger(submitted(emulator), seconds=1.2)
    deadline = trigger.deadline

    async def interrupted(again: Any) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(anext(again.run()), 0.3)

    for _ in range(2):
        trigger = recreated(trigger)
        asyncio.run(interrupted(trigger))
    assert fire(trigger)["outcome"] == "timed_out"
    assert 0 <= time.time() - deadline < 1
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("during", ["the first pause", "a poll", "the wait between polls"])
def test_cancelled_it_leaves_no_session_behind(during: str, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run_id = submitted(emulator)
    if during == "a poll":
        emulator.control.add_fault("latency", on="get_run", seconds=30)
    trigger = run_trigger(run_id, seconds=60, poll_interval=60 if during == "the first pause" else 0.2)

    async def cancelled() -> None:
        async def consume() -> None:
            async for _ in trigger.run():
                raise AssertionError("no event was due")

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.5)
        leases = shared_client._leases.get(asyncio.get_running_loop(), {})
        sessions = [client._session for client, _ in leases.values()]
        assert len(sessions) == (0 if during == "the first pause" else 1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert all(session is not None and session.closed for session in sessions)
        assert not leases

    asyncio.run(cancelled())


def test_many_triggers_share_one_session(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run_ids = [submitted(emulator) for _ in range(5)]

    async def all_of_them() -> tuple[list[int], list[Any]]:
        waits = [asyncio.ensure_future(anext(run_trigger(run_id).run())) for run_id in run_ids]
        await asyncio.sleep(0.3)
        leases = shared_client._leases[asyncio.get_running_loop()]
        holders = [holders for _, holders in leases.values()]
        for run_id in run_ids:
            emulator.control.finish_run(run_id)
        return holders, list(await asyncio.gather(*waits))

    holders, events = asyncio.run(all_of_them())
    assert holders == [5]
    assert {event.payload["data"]["run_id"] for event in events} == set(run_ids)


def test_killed_it_only_says_what_goes_on(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = submitted(emulator)
    wire = emulator.control.requests()
    asyncio.run(run_trigger(run_id).on_kill())
    said = "".join(capsys.readouterr())
    assert run_id in said
    assert "it goes on and is paid for" in said
    assert emulator.control.requests() == wire

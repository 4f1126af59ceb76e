"""BitScaleHook: each method and its async twin return the same record and raise the same errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from pytest_mock import MockerFixture

from airflow_provider_bitscale import api, exceptions
from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.support.clients import posted_bodies

FULL_NAME = "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890"
JANE = {FULL_NAME: "Jane Doe"}
Call = Callable[..., Any]


def sync_call(method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(BitScaleHook(), method)(*args, **kwargs)


def async_call(method: str, *args: Any, **kwargs: Any) -> Any:
    return asyncio.run(getattr(BitScaleHook(), f"a{method}")(*args, **kwargs))


BOTH = pytest.mark.parametrize("call", [sync_call, async_call])


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_current_user", ()),
        ("list_workspaces", ()),
        ("get_workspace", ()),
        ("get_workspace", ("ws_def456",)),
        ("get_credits", ()),
        ("list_grids", ()),
        ("list_grids", ("LEAD",)),
        ("list_grids", (None, "ws_def456")),
        ("get_grid", ("grid_001",)),
    ],
)
def test_a_method_and_its_twin_return_the_same_record(
    method: str, arguments: tuple[Any, ...], emulator: Emulator
) -> None:
    records = [call(method, *arguments) for call in (sync_call, async_call)]
    assert records[0] == records[1]
    assert records[0]
    first, second = (
        {"path": request["path"], "workspace": dict(request["headers"]).get("workspace-id")}
        for request in emulator.control.requests()
    )
    assert first == second


@BOTH
def test_records_have_aware_times_and_keep_what_they_do_not_know(call: Call, emulator: Emulator) -> None:
    emulator.control.add_fault("extra_fields")
    workspace = call("get_workspace")
    assert workspace.created_at == datetime(2024, 2, 1, 10, tzinfo=timezone.utc)
    assert workspace.credits == api.Credits(total=100_000, used=34_200, remaining=65_800)
    assert workspace.raw["a_field_of_a_later_version"] == {"since": "1.2.0"}


@BOTH
def test_a_run_is_submitted_polled_and_waited_for(call: Call, emulator: Emulator) -> None:
    run = call("run_grid", "grid_001", JANE, output_columns=[FULL_NAME])
    assert run.status in (api.RunStatus.QUEUED, api.RunStatus.RUNNING)
    assert call("get_run", "grid_001", run.run_id).run_id == run.run_id
    done = call("wait_for_run", "grid_001", run.run_id, poll_interval=0.05, timeout=5)
    assert (done.status, done.outputs) == (api.RunStatus.COMPLETED, JANE)
    assert done.credits.consumed > 0
    assert len(posted_bodies(emulator)) == 1


@BOTH
def test_a_sync_run_is_answered_directly(call: Call, emulator: Emulator) -> None:
    run = call("run_grid", "grid_001", JANE, mode="sync")
    assert (run.run_id, run.status) == (None, api.RunStatus.COMPLETED)


@BOTH
def test_waiting_for_a_failed_run_says_why(call: Call, emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", message="the agent gave up")
    run = call("run_grid", "grid_001", JANE)
    with pytest.raises(
        exceptions.RunFailedError, match=rf"run {run.run_id} of grid grid_001 failed: .*gave up"
    ):
        call("wait_for_run", "grid_001", run.run_id, poll_interval=0.05, timeout=5)


@BOTH
def test_waiting_ends_at_the_timeout_after_a_last_poll(call: Call, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run = call("run_grid", "grid_001", JANE)
    started = time.monotonic()
    with pytest.raises(exceptions.RunTimedOutError, match="was last seen running at the deadline"):
        call("wait_for_run", "grid_001", run.run_id, poll_interval=60, timeout=0.4)
    assert 0.4 <= time.monotonic() - started < 2
    polls = [request for request in emulator.control.requests() if "/runs/" in request["path"]]
    assert len(polls) == 2


@BOTH
@pytest.mark.parametrize(
    ("fault", "name", "retries_help"),
    [
        ({"status": 401, "code": "INVALID_API_KEY"}, "AuthenticationError", False),
        ({"status": 403}, "PermissionDeniedError", False),
        ({"status": 404, "code": "GRID_NOT_FOUND"}, "NotFoundError", False),
        ({"status": 400, "code": "MISSING_REQUIRED_FIELD"}, "InvalidRequestError", False),
        ({"status": 422, "code": "INVALID_COLUMN_TYPE"}, "InvalidRequestError", False),
        ({"status": 422, "code": "INSUFFICIENT_CREDITS"}, "InsufficientCreditsError", False),
        ({"status": 500, "code": "INSUFFICIENT_CREDITS"}, "InsufficientCreditsError", False),
        ({"status": 403, "code": "RUN_LIMIT_EXCEEDED"}, "RunLimitExceededError", False),
        ({"status": 503}, "AmbiguousSubmitError", False),
        ({"status": 302, "headers": {"Location": "https://evil.example/"}}, "AmbiguousSubmitError", False),
        ({"status": 429, "headers": {"Retry-After": "400"}}, "RateLimitedError", True),
    ],
    ids=lambda value: str(value.get("code") or value["status"]) if isinstance(value, dict) else None,
)
def test_an_error_is_caught_by_every_name_it_has(
    fault: dict[str, Any], name: str, retries_help: bool, call: Call, emulator: Emulator
) -> None:
    emulator.control.add_fault("status", on="run_grid", **fault)
    with pytest.raises(getattr(api, name)) as caught:
        call("run_grid", "grid_001", JANE)
    error: Any = caught.value
    assert (error.status, error.request) == (fault["status"], "POST /grids/grid_001/run")
    assert error.code == fault.get("code", error.code)
    assert type(error) is getattr(exceptions, name)
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) is not retries_help
    assert len(posted_bodies(emulator)) == 1


def test_every_error_of_the_api_has_an_airflow_twin() -> None:
    for name, kind in errors.KINDS.items():
        twin = getattr(exceptions, name)
        assert issubclass(twin, kind)
        assert issubclass(twin, AirflowException)
        error = exceptions.as_airflow(kind("text", status=1, code="C", retry_after=2.0))
        assert type(error) is twin
        assert (str(error), error.retry_after) == ("1 C: text", 2.0)
        assert exceptions.as_airflow(error) is error


@BOTH
@pytest.mark.parametrize(("method", "arguments"), [("get_grid", ("grid_001",)), ("list_grids", ())])
def test_a_read_is_tried_again_until_it_gets_through(
    method: str, arguments: tuple[str, ...], call: Call, emulator: Emulator
) -> None:
    emulator.control.add_fault("status", status=503, times=1)
    emulator.control.add_fault("half_json", times=1)
    assert call(method, *arguments)
    assert len(emulator.control.requests()) == 3


def test_reading_the_connection_does_not_block_the_event_loop(
    emulator: Emulator, mocker: MockerFixture
) -> None:
    # Where the connection comes from takes its time, and answers only the sync way: as slow as it gets.
    def slow(conn_id: str) -> Connection:
        time.sleep(0.5)
        return Connection.from_json(emulator.connection_json(), conn_id=conn_id)

    mocker.patch.object(BaseHook, "aget_connection", side_effect=AirflowNotFoundException)
    mocker.patch.object(BaseHook, "get_connection", side_effect=slow)

    async def longest_stall() -> float:
        reading = asyncio.create_task(BitScaleHook().aget_current_user())
        worst = 0.0
        while not reading.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)
        assert (await reading).name == "Jane Doe"
        return worst

    assert asyncio.run(longest_stall()) < 0.3


def test_hooks_in_one_loop_share_a_session_that_ends_with_them(emulator: Emulator) -> None:
    async def sessions() -> list[Any]:
        one, other = BitScaleHook(), BitScaleHook()
        async with one.aclient() as first, other.aclient() as second:
            assert first is second
            inner = first._session
        return [first, second, inner]

    assert asyncio.run(sessions())[2].closed

"""Sensors end alike in poke, reschedule and deferrable mode."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS, V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.sensors.credits import CreditsSensor
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.airflow.conftest import Connect
from tests.support.clients import jane, posted_bodies
from tests.support.task_runs import TaskRun

CONTRACTS = API_CONTRACTS

EMAIL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferrable": {"deferrable": True},
}
IN_EVERY_MODE = pytest.mark.parametrize("mode", MODES)
SOFT = pytest.mark.parametrize("soft_fail", [False, True], ids=["hard", "soft"])


def submitted(emulator: Emulator, **arguments: Any) -> str:
    run_id = BitScaleHook().run_grid("grid_001", jane(emulator), **arguments).run_id
    assert run_id is not None
    return run_id


def waiting_for_run(mode: str, run_id: str, **arguments: Any) -> TaskRun:
    arguments = {"grid_id": "grid_001", "poke_interval": 0.1, "timeout": 5, **MODES[mode], **arguments}
    return TaskRun(lambda: RunCompletedSensor(task_id="wait", run_id=run_id, **arguments))


def waiting_for_credits(mode: str, **arguments: Any) -> TaskRun:
    arguments = {"min_credits": 100, "poke_interval": 0.1, "timeout": 5, **MODES[mode], **arguments}
    return TaskRun(lambda: CreditsSensor(task_id="wait", **arguments))


# What happens to the run, and the error it is without soft_fail; with it, each is a skip.
BAD_ENDS: dict[str, tuple[Callable[[Emulator], Any], dict[str, Any], type[Exception], str]] = {
    "failed": (
        lambda emulator: emulator.control.add_fault("run_fails", message="the agent gave up"),
        {},
        api.RunFailedError,
        "the agent gave up",
    ),
    "timed out": (
        lambda emulator: emulator.control.add_fault("run_never_ends"),
        {"timeout": 0.3},
        AirflowSensorTimeout,
        "",
    ),
    "refused": (
        lambda emulator: emulator.control.add_fault("status", on="get_run", status=403),
        {},
        api.PermissionDeniedError,
        "403 FORBIDDEN",
    ),
    "unknown run": (
        lambda emulator: emulator.control.add_fault("status", on="get_run", status=404),
        {},
        api.NotFoundError,
        "404",
    ),
}


@IN_EVERY_MODE
@SOFT
@pytest.mark.parametrize("end", BAD_ENDS)
@pytest.mark.usefixtures("impatient")
def test_a_run_that_does_not_complete(end: str, soft_fail: bool, mode: str, emulator: Emulator) -> None:
    fault, arguments, error, message = BAD_ENDS[end]
    fault(emulator)
    task = waiting_for_run(mode, submitted(emulator), soft_fail=soft_fail, **arguments)
    with pytest.raises(AirflowSkipException if soft_fail else error) as caught:
        task.attempt()
    assert soft_fail or message in str(caught.value)
    assert len(posted_bodies(emulator)) == 1


@IN_EVERY_MODE
def test_polls_that_never_get_through_are_a_timeout_not_a_failure(mode: str, emulator: Emulator) -> None:
    task = waiting_for_run(mode, submitted(emulator), timeout=0.3)
    emulator.control.add_fault("status", status=502, body="<html>Bad Gateway</html>")
    with pytest.raises(AirflowSensorTimeout):
        task.attempt()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("end", [name for name in BAD_ENDS if name != "timed out"])
def test_what_waiting_again_cannot_cure_fails_without_retries(end: str, emulator: Emulator) -> None:
    fault, arguments, error, _ = BAD_ENDS[end]
    fault(emulator)
    for mode in MODES:
        with pytest.raises(error) as caught:
            waiting_for_run(mode, submitted(emulator), **arguments).attempt()
        assert isinstance(caught.value, AirflowFailException)


@IN_EVERY_MODE
@SOFT
def test_a_completed_run_is_the_xcom_that_the_operator_gives(
    soft_fail: bool, mode: str, emulator: Emulator
) -> None:
    operator = RunGridOperator(
        task_id="enrich", grid_id="grid_001", inputs={"Full Name": "Jane Doe"}, poll_interval=0.05,
        deferrable=False,
    )  # fmt: skip
    expected = TaskRun(lambda: operator).attempt()
    task = waiting_for_run(mode, expected["run_id"], soft_fail=soft_fail)
    assert task.attempt() == expected
    assert len(posted_bodies(emulator)) == 1


@IN_EVERY_MODE
def test_it_waits_in_its_mode_and_no_other(mode: str, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run_id = submitted(emulator)
    task = waiting_for_run(mode, run_id, timeout=0.5)
    with pytest.raises(AirflowSensorTimeout):
        task.attempt()
    assert bool(task.reschedules) == (mode == "reschedule")
    assert len(task.triggers) == (1 if mode == "deferrable" else 0)
    emulator.control.finish_run(run_id)
    assert waiting_for_run(mode, run_id, key_outputs_by="id").attempt()["outputs"][EMAIL]


@IN_EVERY_MODE
def test_what_has_already_happened_costs_no_waiting(mode: str, emulator: Emulator) -> None:
    run_id = submitted(emulator)
    BitScaleHook().wait_for_run("grid_001", run_id, poll_interval=0.05)
    for task in (waiting_for_run(mode, run_id), waiting_for_credits(mode)):
        task.attempt()
        assert (task.triggers, task.reschedules) == ([], 0)


@IN_EVERY_MODE
def test_credits_that_are_there_are_the_xcom(mode: str, emulator: Emulator) -> None:
    emulator.control.set_credits(100)
    seen = waiting_for_credits(mode).attempt()
    assert seen == {"total": 100_000, "used": 99_900, "remaining": 100}


@IN_EVERY_MODE
def test_each_poke_logs_the_balance_and_what_is_wanted(
    mode: str, emulator: Emulator, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.control.set_credits(1_234)
    caplog.set_level("INFO")
    with pytest.raises(AirflowSensorTimeout):
        waiting_for_credits(mode, min_credits=50_000, timeout=0.5).attempt()
    polls = [r for r in emulator.control.requests() if "/_emulator" not in r["path"]]
    said = (caplog.text + capsys.readouterr().out).count("1,234 credits are left, 50,000 are wanted")
    assert said == len(polls) > 1


@IN_EVERY_MODE
@pytest.mark.parametrize("contract", [V1_1_0])
def test_credits_of_another_workspace(mode: str, emulator: Emulator) -> None:
    emulator.control.set_credits(7, "ws_def456")
    assert waiting_for_credits(mode, workspace_id="ws_def456", min_credits=7).attempt()["remaining"] == 7


@IN_EVERY_MODE
@SOFT
def test_credits_that_do_not_come(soft_fail: bool, mode: str, emulator: Emulator) -> None:
    emulator.control.set_credits(99)
    with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout):
        waiting_for_credits(mode, soft_fail=soft_fail, timeout=0.3).attempt()


@IN_EVERY_MODE
@SOFT
@pytest.mark.parametrize("contract", [V1_1_0])
@pytest.mark.parametrize(
    ("workspace_id", "error"),
    [
        pytest.param("ws_nope", api.NotFoundError, id="unknown workspace"),
        pytest.param("ws_ghi789", api.PermissionDeniedError, id="foreign workspace"),
    ],
)
def test_a_workspace_that_does_not_tell_its_credits(
    workspace_id: str, error: type[Exception], soft_fail: bool, mode: str, emulator: Emulator
) -> None:
    with pytest.raises(AirflowSkipException if soft_fail else error):
        waiting_for_credits(mode, soft_fail=soft_fail, workspace_id=workspace_id).attempt()


@IN_EVERY_MODE
def test_no_workspace_to_ask_for_is_a_clear_error(mode: str, emulator: Emulator, connect: Connect) -> None:
    connect(host=emulator.base_url, password=emulator.api_key)
    with pytest.raises(api.ConfigurationError, match="a workspace id is needed"):
        waiting_for_credits(mode).attempt()


@IN_EVERY_MODE
def test_a_deadline_is_kept(mode: str, emulator: Emulator) -> None:
    emulator.control.set_credits(0)
    started = time.monotonic()
    with pytest.raises(AirflowException):
        waiting_for_credits(mode, timeout=0.5).attempt()
    assert 0.5 <= time.monotonic() - started < 2

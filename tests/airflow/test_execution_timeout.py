"""`execution_timeout` ends a deferred wait too, which Airflow leaves to the provider; a retry is free."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.deferral import Bounds
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.outcome import (
    COMPLETED,
    EXECUTION_TIMED_OUT,
    FAILED,
    REFUSED,
    TIMED_OUT,
    Outcome,
)
from airflow_provider_bitscale.sensors.credits import CreditsSensor
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from tests.airflow.test_run_grid_money import Task
from tests.support.clients import jane, posted_bodies
from tests.support.task_runs import FakeTaskInstance, MemoryStore, TaskRun, fire

CONTRACTS = API_CONTRACTS

# The deadline and the try's end; when the wait ends, and what a wait without result is then called.
ENDS: dict[str, tuple[float, float | None, float, str]] = {
    "no execution_timeout": (100.0, None, 100.0, TIMED_OUT),
    "the deadline comes first": (100.0, 200.0, 100.0, TIMED_OUT),
    "the try's end comes first": (200.0, 100.0, 100.0, EXECUTION_TIMED_OUT),
    "both at once": (100.0, 100.0, 100.0, EXECUTION_TIMED_OUT),
}


@pytest.mark.parametrize(("deadline", "give_up_at", "end", "kind"), ENDS.values(), ids=ENDS.keys())
def test_what_ends_a_wait(deadline: float, give_up_at: float | None, end: float, kind: str) -> None:
    bounds = Bounds(deadline, give_up_at)
    assert bounds.end == end
    assert bounds.name_end(Outcome(TIMED_OUT, {"status": "running"})) == Outcome(kind, {"status": "running"})
    for other in (COMPLETED, FAILED, REFUSED):
        assert bounds.name_end(Outcome(other)) == Outcome(other)
    # A trigger is given the end of the wait as its deadline.
    assert Bounds(end, give_up_at).name_end(Outcome(TIMED_OUT)) == Outcome(kind)


@pytest.mark.parametrize("deadline", [-1000.0, 1000.0, 100_000.0])
def test_airflows_own_timeout_of_the_deferral_comes_after(deadline: float) -> None:
    now = time.time()
    left = Bounds(now + deadline, now + 5000.0).backstop.total_seconds()
    expected = max(0.0, min(deadline, 5000.0)) + 120
    assert expected - 60 < left <= expected


def test_it_counts_from_the_start_of_the_try() -> None:
    began = datetime.now(timezone.utc) - timedelta(seconds=400)
    context: Any = {"ti": FakeTaskInstance(2, start_date=began)}
    assert Bounds.of(context, 5.0, timedelta(seconds=600)) == Bounds(5.0, began.timestamp() + 600)
    assert Bounds.of(context, 5.0, None) == Bounds(5.0, None)


def test_a_retry_goes_on_with_the_run_and_pays_for_nothing(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    task = Task(emulator, deferrable=True, execution_timeout=timedelta(seconds=0.5))
    for _ in range(2):
        with pytest.raises(AirflowTaskTimeout, match="goes on and is paid for; last seen: running"):
            task.attempt()
        assert task.record["phase"] == "submitted"
    emulator.control.finish_run(task.record["run_id"])
    assert task.attempt()["run_id"] == task.record["run_id"]
    assert len(posted_bodies(emulator)) == 1


def test_a_deadline_that_comes_first_is_the_runs_own(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    task = Task(emulator, deferrable=True, timeout=0.3, execution_timeout=timedelta(seconds=60))
    with pytest.raises(api.RunTimedOutError):
        task.attempt()


@pytest.mark.parametrize("contract", ["v1.1.0"])
def test_waiting_for_a_delivery_ends_alike_and_leaves_the_submission_ambiguous(emulator: Emulator) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    url = "https://airflow.example.com/bitscale/webhooks/bitscale_default"
    task = Task(emulator, deferrable=True, webhook_url=url, execution_timeout=timedelta(seconds=0.5))
    for _ in range(2):
        with pytest.raises(AirflowTaskTimeout, match="the delivery"):
            task.attempt()
        assert task.record["phase"] == "intent"
    assert len(posted_bodies(emulator)) == 1


def test_a_second_deferral_of_a_try_has_the_same_end(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    store, ti = MemoryStore(), FakeTaskInstance(2)
    context: Any = {"ti": ti, "task_state_store": store}
    task = Task(emulator, deferrable=True, execution_timeout=timedelta(seconds=600))
    ends = []
    for _ in range(2):
        with pytest.raises(TaskDeferred) as deferred:
            task.make().execute(context)
        ends.append((deferred.value.trigger.give_up_at, deferred.value.trigger.deadline))
        time.sleep(0.1)
    assert ends == [(ti.start_date.timestamp() + 600,) * 2] * 2


@pytest.mark.parametrize("soft_fail", [False, True], ids=["hard", "soft"])
def test_sensors_end_alike(soft_fail: bool, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    run_id = BitScaleHook().run_grid("grid_001", jane(emulator)).run_id
    arguments: dict[str, Any] = {
        "task_id": "wait",
        "deferrable": True,
        "soft_fail": soft_fail,
        "poke_interval": 0.1,
        "execution_timeout": timedelta(seconds=0.4),
    }
    for make in (
        lambda: RunCompletedSensor(grid_id="grid_001", run_id=str(run_id), **arguments),
        lambda: CreditsSensor(min_credits=1e9, **arguments),
    ):
        with pytest.raises(AirflowSkipException if soft_fail else AirflowTaskTimeout):
            TaskRun(make).attempt()


def test_a_run_that_has_ended_by_then_is_a_result(emulator: Emulator) -> None:
    task = Task(emulator, deferrable=True, poll_interval=60, execution_timeout=timedelta(seconds=1))
    assert task.attempt()["status"] == "completed"
    assert fire(task.triggers[-1])["outcome"] == "completed"

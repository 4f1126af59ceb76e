"""Clearing a task that has succeeded runs it again; a retry returns what was paid for. A row and a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from tests.support.batches import ONE_CONTRACT
from tests.support.clients import posts
from tests.support.hooks import connect
from tests.support.task_runs import BatchStore, MemoryStore, TaskRun

pytestmark = ONE_CONTRACT
ROW = {"Full Name": "Ada"}


def one_row(**options: Any) -> TaskRun:
    arguments = {"task_id": "enrich", "grid_id": "grid_001", "inputs": ROW, "deferrable": False, **options}
    return TaskRun(lambda: RunGridOperator(poll_interval=0.1, **arguments), MemoryStore())


def batch() -> TaskRun:
    return TaskRun(
        lambda: RunGridBatchOperator(task_id="enrich", grid_id="grid_001", rows=[ROW]), BatchStore()
    )


TASKS: dict[str, Callable[[], TaskRun]] = {
    "one row": one_row,
    "one row, sync": lambda: one_row(mode="sync"),
    "a batch": batch,
}


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> TaskRun:
    connect(monkeypatch, emulator)
    made = TASKS[request.param]()
    made.max_tries = made.retries = 3
    return made


@pytest.mark.parametrize("retries", [0, 2, 3])
def test_a_clear_after_success_runs_again_whatever_the_retries_are_by_then(
    task: TaskRun, emulator: Emulator, retries: int
) -> None:
    task.attempt()
    task.retries = retries
    task.clear()
    task.attempt()
    assert len(posts(emulator)) == 2


@pytest.mark.parametrize("retries", [0, 2, 3])
def test_a_retry_after_success_pays_for_nothing_whatever_the_retries_are_by_then(
    task: TaskRun, emulator: Emulator, retries: int
) -> None:
    # Airflow retries a task whose success it could not write down, after its callbacks were called.
    task.attempt()
    task.retries = retries
    task.attempt()
    assert len(posts(emulator)) == 1

"""What a delivery leaves for the task that it names: all of it for one that waits, for any other nothing.

Airflow's database is a dictionary here; the real one: see the system tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_bitscale.api.deliveries import Delivery
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY as BATCH
from airflow_provider_bitscale.webhooks import notify_tasks
from airflow_provider_bitscale.webhooks.callback_token import Claims, DeliveryAddress
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue
from airflow_provider_bitscale.webhooks.notify_tasks import notify_waiting
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS
from tests.webhooks.test_awaited import BATCH_RECORD, BATCHES, RECORD, RUNS, SENT, Kept, kept
from tests.webhooks.test_callback_token import HOME, KEY, QUEUE


class Task(Kept):
    """A task instance: its state store, and its XComs."""

    def __init__(self, store: Kept) -> None:
        super().__init__(deepcopy(store))
        self.xcoms: dict[str, str] = {}

    def push(self, key: str, value: str) -> None:
        self.xcoms[key] = value


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[DeliveryAddress, Any]:
    """The task instances that there are; an error for one that the database does not tell."""
    there: dict[DeliveryAddress, Any] = {}

    def found(session: None, address: DeliveryAddress) -> list[Task]:
        if isinstance(task := there.get(address), Exception):
            raise task
        return [] if task is None else [task]

    def in_a_transaction(work: Callable[[None], Any]) -> Any:
        return work(None)

    monkeypatch.setattr(notify_tasks, "task_instances", found)
    monkeypatch.setattr(notify_tasks, "in_a_transaction", in_a_transaction)
    return there


def delivery(run_id: str = "run_1", **fields: Any) -> Delivery:
    payload = {"run_id": run_id, "grid_id": "grid_001", "status": "completed", "outputs": {}, **fields}
    return Delivery(run_id, "grid_001", parse_run(payload), payload)


@pytest.mark.parametrize(("store", "outcome"), RUNS.values(), ids=RUNS.keys())
def test_a_task_that_does_not_wait_is_left_as_it_was(
    tasks: dict[DeliveryAddress, Any], store: Kept, outcome: str
) -> None:
    tasks[HOME] = Task(store)
    assert notify_waiting([(delivery(), Claims(HOME))]) == [outcome]
    assert (tasks[HOME] == store and tasks[HOME].xcoms == {}) == (outcome != ACCEPTED)


@pytest.mark.parametrize(("store", "outcome"), BATCHES.values(), ids=BATCHES.keys())
def test_a_batch_that_does_not_wait_is_left_as_it_was(
    tasks: dict[DeliveryAddress, Any], store: Kept, outcome: str
) -> None:
    batch = replace(HOME, key=QUEUE)
    tasks[batch] = Task(store)
    assert notify_waiting([(delivery(), Claims(batch, 3))]) == [outcome]
    assert (tasks[batch] == store and tasks[batch].xcoms == {}) == (outcome != ACCEPTED)


def test_a_delivery_that_is_replayed_stores_nothing(tasks: dict[DeliveryAddress, Any]) -> None:
    task = tasks[HOME] = Task(kept(SENT))
    assert notify_waiting([(delivery(), Claims(HOME))]) == [ACCEPTED]
    assert json.loads(task.xcoms[KEY])["run_id"] == "run_1"
    left, xcoms = deepcopy(dict(task)), dict(task.xcoms)
    replayed = [(delivery(outputs={"c": "forged"}), Claims(HOME))] * 2
    assert notify_waiting(replayed) == [DUPLICATE] * 2
    assert (dict(task), task.xcoms) == (left, xcoms)


def test_of_two_deliveries_that_come_together_one_is_stored(tasks: dict[DeliveryAddress, Any]) -> None:
    task = tasks[HOME] = Task(kept(RECORD))
    outcomes = notify_waiting([(delivery("run_1"), Claims(HOME)), (delivery("run_2"), Claims(HOME))])
    assert outcomes == [ACCEPTED, NO_SUBSCRIBERS]
    assert json.loads(task.xcoms[KEY])["run_id"] == "run_1"


def test_the_rows_of_a_batch_are_told_in_order(tasks: dict[DeliveryAddress, Any]) -> None:
    batch = replace(HOME, key=QUEUE)
    task = tasks[batch] = Task(Kept({BATCH: asdict(BATCH_RECORD)}))
    told = [(delivery(f"run_{row}"), Claims(batch, row)) for row in range(3)]
    assert notify_waiting(told) == [ACCEPTED] * 3
    assert [(each.row, each.run_id) for each in DeliveryQueue(task, QUEUE).collect()] == [
        (row, f"run_{row}") for row in range(3)
    ]


def test_a_task_of_which_the_database_does_not_tell_holds_up_no_other(
    tasks: dict[DeliveryAddress, Any],
) -> None:
    away, gone, there = (replace(HOME, task_id=name) for name in ("away", "gone", "there"))
    tasks[away] = OperationalError("SELECT 1", {}, ConnectionRefusedError())
    tasks[there] = Task(kept(SENT))
    outcomes = notify_waiting([(delivery(), Claims(each)) for each in (away, gone, there)])
    assert outcomes == [tasks[away], NO_SUBSCRIBERS, ACCEPTED]

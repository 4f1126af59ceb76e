"""A person says which run a task has paid for: it is checked, collected, and never paid for again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.airflow.test_run_grid_money import Task
from tests.support.clients import jane, posted_bodies

CONTRACTS = API_CONTRACTS
KEY = "bitscale_adopt_run_id"
WAITS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


def adopt(task: Task, run_id: Any) -> None:
    """What a person does who has found the run in BitScale."""
    task.store.values[KEY] = json.dumps(run_id)
    task.clear()


def lost(emulator: Emulator, **arguments: Any) -> tuple[Task, str]:
    """A task whose submission went through, though its answer was lost; and the id of the run."""
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    task = Task(emulator, **arguments)
    with pytest.raises(api.AmbiguousSubmitError, match=KEY):
        task.attempt()
    return task, emulator.control.state()["runs"][-1]["run_id"]


@WAITS
def test_an_ambiguous_submission_goes_on_with_the_run_that_is_named(
    emulator: Emulator, deferrable: bool
) -> None:
    task, run_id = lost(emulator, deferrable=deferrable)
    adopt(task, run_id)
    result = task.attempt()
    assert (result["run_id"], result["status"]) == (run_id, "completed")
    assert result["outputs"]["Enriched Email"]
    assert KEY not in task.store.values
    assert task.attempt()["run_id"] == run_id, "a retry has it in the record"
    assert len(posted_bodies(emulator)) == 1


def test_a_worker_killed_while_it_adopts_adopts_once_more(emulator: Emulator) -> None:
    task, run_id = lost(emulator)
    adopt(task, run_id)
    task.crash(crash_after="submitted")
    assert task.attempt()["run_id"] == run_id
    assert KEY not in task.store.values
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("record", [None, "text", {"future": "format"}], ids=["none", "text", "unreadable"])
def test_the_record_of_the_task_may_be_gone_or_broken(emulator: Emulator, record: Any) -> None:
    task, run_id = lost(emulator)
    del task.store.values["bitscale_run"]
    if record is not None:
        task.store.values["bitscale_run"] = json.dumps(record)
    adopt(task, run_id)
    assert task.attempt()["run_id"] == run_id
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("named", ["run_nonexistent", "", 7, ["run_1"]])
def test_what_is_no_run_of_the_grid_is_refused_and_pays_for_nothing(emulator: Emulator, named: Any) -> None:
    task, run_id = lost(emulator)
    adopt(task, named)
    for _ in range(2):
        with pytest.raises(api.InvalidRequestError, match=KEY) as caught:
            task.attempt()
        assert isinstance(caught.value, AirflowFailException)
    assert task.record["phase"] == "intent"
    adopt(task, run_id)
    assert task.attempt()["run_id"] == run_id
    assert len(posted_bodies(emulator)) == 1


def test_a_poll_that_does_not_get_through_leaves_it_to_a_retry(emulator: Emulator) -> None:
    task, run_id = lost(emulator)
    adopt(task, run_id)
    emulator.control.add_fault("status", on="get_run", status=502, times=1)
    with pytest.raises(AirflowException) as caught:
        task.attempt()
    assert not isinstance(caught.value, AirflowFailException)
    assert task.attempt()["run_id"] == run_id
    assert len(posted_bodies(emulator)) == 1


def test_a_run_that_is_named_goes_before_the_one_on_record(emulator: Emulator) -> None:
    task = Task(emulator, wait_for_completion=False)
    recorded = task.attempt()["run_id"]
    named = BitScaleHook().run_grid("grid_001", jane(emulator)).run_id
    adopt(task, named)
    assert task.attempt()["run_id"] == named != recorded
    assert len(posted_bodies(emulator)) == 2, "the task's own and this test's"

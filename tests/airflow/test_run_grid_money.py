"""The money rules: a run is paid for once, whatever becomes of the worker between two steps."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS, V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger
from tests.airflow.conftest import Connect
from tests.support.clients import posted_bodies
from tests.support.task_runs import Crash, MemoryStore, TaskRun

CONTRACTS = API_CONTRACTS

INPUTS = {"Full Name": "Jane Doe"}
WAITS: list[Any] = [
    pytest.param({"deferrable": False}, id="worker"),
    pytest.param({"deferrable": True}, id="triggerer"),
]
MODES: list[Any] = [
    *WAITS,
    pytest.param({"wait_for_completion": False}, id="no wait"),
    pytest.param({"mode": "sync"}, id="sync"),
]


class Task(TaskRun):
    """A task whose arguments may be changed between tries; its store counts the POSTs on the wire."""

    def __init__(self, emulator: Emulator, **arguments: Any) -> None:
        self.arguments = {"inputs": INPUTS, "deferrable": False, "poll_interval": 0.05, **arguments}
        super().__init__(
            lambda: RunGridOperator(task_id="enrich", grid_id="grid_001", **self.arguments),
            MemoryStore(lambda: len(posted_bodies(emulator))),
        )

    def crash(self, **where: str) -> None:
        """One try that is killed there."""
        vars(self.store).update(where)
        with pytest.raises(Crash):
            self.attempt()
        vars(self.store).update(crash_before=None, crash_after=None)

    @property
    def record(self) -> Any:
        return self.store.get("bitscale_run")


def paid(emulator: Emulator) -> int:
    return int(emulator.control.state()["runs_paid"])


@pytest.mark.parametrize("arguments", MODES)
def test_the_intent_is_written_before_the_post_and_the_id_right_after(
    arguments: dict[str, Any], emulator: Emulator
) -> None:
    task = Task(emulator, **arguments)
    task.attempt()
    assert task.store.journal == [("intent", 0), ("submitted", 1), ("collected", 1)]


@pytest.mark.parametrize("arguments", MODES)
@pytest.mark.parametrize(
    ("where", "ambiguous"),
    [
        pytest.param({"crash_before": "intent"}, False, id="before the intent"),
        pytest.param({"crash_after": "intent"}, True, id="before the post"),
        pytest.param({"crash_before": "submitted"}, True, id="before the id is kept"),
        pytest.param({"crash_after": "submitted"}, False, id="after the id is kept"),
        pytest.param({"crash_before": "collected"}, False, id="before collecting"),
        pytest.param({"crash_after": "collected"}, False, id="after collecting"),
    ],
)
def test_a_worker_killed_anywhere_pays_once_or_says_that_it_cannot_know(
    where: dict[str, str], ambiguous: bool, arguments: dict[str, Any], emulator: Emulator
) -> None:
    task = Task(emulator, **arguments)
    task.crash(**where)
    if ambiguous:
        for _ in range(2):
            with pytest.raises(api.AmbiguousSubmitError, match="delete the key 'bitscale_run'") as caught:
                task.attempt()
            assert isinstance(caught.value, AirflowFailException)
        assert paid(emulator) <= 1
    else:
        task.attempt()
        assert paid(emulator) == 1


@pytest.mark.parametrize("kind", ["lost_answer", "server_error_after_work"])
@pytest.mark.parametrize("arguments", MODES)
def test_a_lost_answer_is_ambiguous_and_never_posted_again(
    arguments: dict[str, Any], kind: str, emulator: Emulator
) -> None:
    emulator.control.add_fault(kind, on="run_grid", times=1)
    task = Task(emulator, **arguments)
    for _ in range(2):
        with pytest.raises(api.AmbiguousSubmitError) as caught:
            task.attempt()
        assert isinstance(caught.value, AirflowFailException)
    task.clear()
    with pytest.raises(api.AmbiguousSubmitError):
        task.attempt()
    assert len(posted_bodies(emulator)) == 1


def test_who_prefers_to_pay_twice_gets_a_retry_that_submits_again(emulator: Emulator) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid", times=1)
    task = Task(emulator, on_ambiguous_submit="resubmit")
    with pytest.raises(api.AmbiguousSubmitError) as caught:
        task.attempt()
    assert not isinstance(caught.value, AirflowFailException), "a retry must be possible"
    assert task.attempt()["status"] == "completed"
    assert paid(emulator) == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "storm", "retry_after": 0}, id="429"),
        pytest.param({"kind": "status", "status": 429}, id="429 without a hint"),
    ],
)
def test_what_was_not_processed_is_sent_again(fault: dict[str, Any], emulator: Emulator) -> None:
    emulator.control.add_fault(**fault, on="run_grid", times=1)
    assert Task(emulator).attempt()["status"] == "completed"
    assert (paid(emulator), len(posted_bodies(emulator))) == (1, 2)


@pytest.mark.parametrize("status", [400, 402, 403, 422])
def test_a_refused_run_leaves_no_record_that_blocks_the_next(status: int, emulator: Emulator) -> None:
    emulator.control.add_fault("status", on="run_grid", status=status, code="SOMETHING_NEW", times=1)
    task = Task(emulator)
    with pytest.raises(AirflowFailException):
        task.attempt()
    assert task.record is None
    assert task.attempt()["status"] == "completed"


@pytest.mark.parametrize("arguments", WAITS)
def test_a_retry_waits_on_for_the_run_that_is_still_going(
    arguments: dict[str, Any], emulator: Emulator
) -> None:
    emulator.control.add_fault("run_never_ends")
    task = Task(emulator, **arguments, timeout=0.3)
    for _ in range(2):
        with pytest.raises(api.RunTimedOutError):
            task.attempt()
        assert task.record["phase"] == "submitted"
    emulator.control.finish_run(task.record["run_id"])
    assert task.attempt()["run_id"] == task.record["run_id"]
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("arguments", WAITS)
@pytest.mark.parametrize("seen_by", ["the try that waits", "the retry"])
def test_a_run_that_bitscale_reports_as_failed_is_submitted_again(
    seen_by: str, arguments: dict[str, Any], emulator: Emulator
) -> None:
    emulator.control.add_fault("run_fails", times=1)
    task = Task(emulator, **arguments)
    if seen_by == "the retry":
        task.crash(crash_after="submitted")
        time.sleep(0.2)
    else:
        with pytest.raises(api.RunFailedError):
            task.attempt()
        assert task.record is None
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"inputs": {"Full Name": "John Doe"}}, id="inputs"),
        pytest.param({"output_columns": ["Enriched Email"]}, id="output columns"),
        pytest.param({"mode": "sync"}, id="mode"),
    ],
)
def test_changed_inputs_are_another_run(change: dict[str, Any], emulator: Emulator) -> None:
    task = Task(emulator)
    task.crash(crash_after="submitted")
    task.arguments.update(change)
    task.attempt()
    assert len(posted_bodies(emulator)) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"webhook_url": "https://hooks.example.com/b"}, id="who is told"),
        pytest.param({"deferrable": True}, id="where it waits"),
        pytest.param({"timeout": 60, "poll_interval": 0.1}, id="how it waits"),
    ],
)
def test_what_does_not_change_the_purchase_does_not_pay_again(
    change: dict[str, Any], emulator: Emulator
) -> None:
    task = Task(emulator)
    task.crash(crash_after="submitted")
    task.arguments.update(change)
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 1


@pytest.mark.parametrize("contract", [V1_1_0])
def test_another_workspace_is_another_run(emulator: Emulator, connect: Connect) -> None:
    task = Task(emulator)
    task.crash(crash_after="intent")
    connect(**{**emulator.connection(), "extra": {"workspace_id": "ws_def456"}})
    with pytest.raises(api.NotFoundError):
        task.attempt()


@pytest.mark.parametrize("arguments", MODES)
def test_a_clear_after_success_runs_again_and_its_retry_does_not(
    arguments: dict[str, Any], emulator: Emulator
) -> None:
    task = Task(emulator, **arguments)
    task.attempt()
    task.attempt()
    assert paid(emulator) == 1
    task.clear()
    task.attempt()
    task.attempt()
    assert paid(emulator) == 2


@pytest.mark.parametrize("arguments", WAITS)
def test_a_clear_of_what_never_got_its_result_collects_it(
    arguments: dict[str, Any], emulator: Emulator
) -> None:
    emulator.control.add_fault("run_never_ends", times=1)
    task = Task(emulator, **arguments, timeout=0.2)
    with pytest.raises(api.RunTimedOutError):
        task.attempt()
    emulator.control.finish_run(task.record["run_id"])
    task.clear()
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 1
    task.clear()
    task.attempt()
    assert len(posted_bodies(emulator)) == 2, "now it has succeeded: a clear runs it again"


@pytest.mark.parametrize("arguments", WAITS)
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, api.AuthenticationError), (403, api.PermissionDeniedError), (404, api.NotFoundError)],
)
@pytest.mark.usefixtures("impatient")
def test_a_refusal_while_waiting_keeps_the_record(
    status: int, error: type[Exception], arguments: dict[str, Any], emulator: Emulator
) -> None:
    emulator.control.add_fault("status", on="get_run", status=status, times=1)
    task = Task(emulator, **arguments)
    with pytest.raises(error) as caught:
        task.attempt()
    assert isinstance(caught.value, AirflowFailException)
    task.clear()
    assert task.attempt()["run_id"] == task.record["run_id"]
    assert len(posted_bodies(emulator)) == 1


def test_the_deadline_is_set_at_submission_and_kept_by_a_retry(emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    task = Task(emulator, deferrable=True, timeout=1.0)
    before = time.time()
    task.crash(crash_after="submitted")
    deadline = task.record["deadline"]
    assert before + 1.0 <= deadline <= time.time() + 1.0
    time.sleep(0.3)
    with pytest.raises(api.RunTimedOutError):
        task.attempt()
    [trigger] = task.triggers
    assert isinstance(trigger, RunCompletedTrigger)
    assert trigger.deadline == deadline
    assert 0 <= time.time() - deadline < 0.5
    with pytest.raises(api.RunTimedOutError):
        task.attempt()
    assert task.triggers[-1].deadline > deadline + 0.9  # type: ignore[attr-defined]


@pytest.mark.parametrize("stored", ["text", [1], {"phase": "submitted"}, {"future": "format"}])
def test_a_record_that_cannot_be_read_is_not_taken_for_none(stored: Any, emulator: Emulator) -> None:
    task = Task(emulator)
    task.store.values["bitscale_run"] = json.dumps(stored)
    with pytest.raises(api.AmbiguousSubmitError, match="cannot be read"):
        task.attempt()
    assert posted_bodies(emulator) == []

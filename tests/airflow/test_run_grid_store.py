"""A task state store that fails, or forgets, costs no second run and loses no result that is at hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    ErrorType,
    TaskDeferred,
)
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL
from airflow_provider_bitscale.operators import run_waiter
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.task_state import is_of_the_past
from airflow_provider_bitscale.runs import run_record
from airflow_provider_bitscale.runs.state_store import OwnerChangedError
from tests.support.clients import posted_bodies
from tests.support.task_runs import FakeTaskInstance, MemoryStore, TaskRun, fire

CONTRACTS = API_CONTRACTS


class FailingStore(MemoryStore):
    """Fails to keep what BitScale has accepted, so many times."""

    def __init__(self, times: float, problem: Exception | None = None) -> None:
        super().__init__()
        self.times = times
        self.problem = problem or AirflowException("the API server is away")

    def set(self, key: str, value: Any, **retention: Any) -> None:
        if key == run_record.RUN_KEY and value["phase"] == "submitted" and self.times > 0:
            self.times -= 1
            raise self.problem
        super().set(key, value, **retention)


def of_the_past() -> AirflowRuntimeError:
    """What Airflow answers to the writes of a try whose task was cleared or retried meanwhile."""
    body = {"detail": {"reason": "not_found", "message": "Task instance 0190 not found"}}
    detail = {"status_code": 404, "message": "Server returned error", "detail": body}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def operator(**arguments: Any) -> RunGridOperator:
    return RunGridOperator(
        task_id="enrich", grid_id="grid_001", inputs={"Full Name": "Jane"}, poll_interval=0.05, **arguments
    )


def context(store: MemoryStore) -> Any:
    return {"ti": FakeTaskInstance(2), "task_state_store": store}


ALWAYS = float("inf")
WAITS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@WAITS
def test_a_run_is_waited_for_with_its_id_in_memory_until_the_store_takes_it(
    emulator: Emulator, deferrable: bool
) -> None:
    emulator.control.add_fault("run_never_ends")
    store = FailingStore(times=2)
    task = TaskRun(lambda: operator(deferrable=deferrable, timeout=4.5), store)
    with pytest.raises(api.RunTimedOutError):
        task.attempt()
    assert [phase for phase, _ in store.journal] == ["intent", "submitted"]
    assert len(task.triggers) == deferrable, "deferred once the id was written, and not before"
    emulator.control.finish_run(store.get("bitscale_run")["run_id"])
    assert task.attempt()["status"] == "completed"
    assert len(posted_bodies(emulator)) == 1


@WAITS
def test_a_run_that_completes_while_the_store_is_away_is_a_result_all_the_same(
    emulator: Emulator, deferrable: bool
) -> None:
    store = FailingStore(ALWAYS)
    task = TaskRun(lambda: operator(deferrable=deferrable), store)
    assert task.attempt()["status"] == "completed"
    assert store.values == {}, "nothing is left that would block a Clear"


def test_a_run_that_fails_while_the_store_is_away_is_a_failure(emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails")
    with pytest.raises(api.RunFailedError):
        TaskRun(lambda: operator(deferrable=False), FailingStore(ALWAYS)).attempt()


@WAITS
def test_a_store_that_stays_away_costs_no_second_run_and_the_error_names_the_run(
    emulator: Emulator, deferrable: bool
) -> None:
    emulator.control.add_fault("run_never_ends")
    store = FailingStore(ALWAYS)
    task = TaskRun(
        lambda: operator(deferrable=deferrable, timeout=0.5, on_ambiguous_submit="resubmit"), store
    )
    with pytest.raises(api.AmbiguousSubmitError) as caught:
        task.attempt()
    assert isinstance(caught.value, AirflowFailException)
    [run] = emulator.control.state()["runs"]
    assert f"write \"{run['run_id']}\" to the key 'bitscale_adopt_run_id'" in str(caught.value)
    store.times = 0
    store.values["bitscale_adopt_run_id"] = json.dumps(run["run_id"])
    emulator.control.finish_run(run["run_id"])
    task.clear()
    assert task.attempt()["run_id"] == run["run_id"]
    assert len(posted_bodies(emulator)) == 1


def test_an_id_that_is_not_waited_for_is_tried_to_be_kept_for_a_while(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FailingStore(times=1)
    receipt = operator(wait_for_completion=False).execute(context(store))
    assert store.get("bitscale_run")["run_id"] == receipt["run_id"]
    monkeypatch.setattr(run_waiter, "STORE_PATIENCE", 0.0)
    with pytest.raises(api.AmbiguousSubmitError, match="bitscale_adopt_run_id"):
        operator(wait_for_completion=False).execute(context(FailingStore(ALWAYS)))


def test_a_try_that_lost_its_task_while_it_submitted_names_the_run(emulator: Emulator) -> None:
    with pytest.raises(api.AmbiguousSubmitError, match="another try of it has begun") as caught:
        operator(deferrable=False).execute(context(FailingStore(ALWAYS, of_the_past())))
    [run] = emulator.control.state()["runs"]
    assert run["run_id"] in str(caught.value)


def test_a_try_that_lost_its_task_sends_nothing(emulator: Emulator) -> None:
    class Closed(MemoryStore):
        def set(self, key: str, value: Any, **retention: Any) -> None:
            raise of_the_past()

    with pytest.raises(OwnerChangedError):
        operator(deferrable=False).execute(context(Closed()))
    assert posted_bodies(emulator) == []


def test_nothing_is_sent_while_the_intent_cannot_be_written(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(MemoryStore):
        def set(self, key: str, value: Any, **retention: Any) -> None:
            raise AirflowException("the API server is away")

    monkeypatch.setattr(run_record, "INTENT_PATIENCE", 0.0)
    with pytest.raises(AirflowException, match="is away"):
        operator(deferrable=False).execute(context(Away()))
    assert posted_bodies(emulator) == []


def test_killed_while_the_id_is_in_memory_alone_the_log_tells_how_to_collect_it(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    task = operator(deferrable=False)

    with pytest.raises(api.AmbiguousSubmitError):
        task.execute(context(FailingStore(ALWAYS, of_the_past())))
    task.on_kill()
    [run] = emulator.control.state()["runs"]
    assert f'write "{run["run_id"]}" to the key' in "".join(capsys.readouterr())


ERRORS_OF_AIRFLOW: dict[str, tuple[dict[str, Any], bool]] = {
    "no such task instance": ({"status_code": 404, "detail": {"detail": {"reason": "not_found"}}}, True),
    "no such route": ({"status_code": 404, "detail": {"detail": "Not Found"}}, False),
    "a page of something between": ({"status_code": 404, "detail": None}, False),
    "a server error": ({"status_code": 500, "detail": {"detail": {"reason": "not_found"}}}, False),
    "no answer": ({"status_code": None, "message": "connection refused"}, False),
    "nothing told": ({}, False),
}


@pytest.mark.parametrize(("detail", "past"), ERRORS_OF_AIRFLOW.values(), ids=ERRORS_OF_AIRFLOW)
def test_what_says_that_a_try_is_of_the_past(detail: dict[str, Any], past: bool) -> None:
    assert is_of_the_past(detail) is past


@pytest.mark.parametrize("key", [run_record.RUN_KEY, run_record.ADOPT_KEY])
def test_a_record_that_a_retry_is_told_not_to_be_there_is_read_again(key: str, emulator: Emulator) -> None:
    class BlindOnce(MemoryStore):
        blind = False

        def get(self, asked: str, default: Any = None) -> Any:
            if self.blind and asked == key:
                self.blind = False
                return default
            return super().get(asked, default)

    store = BlindOnce()
    emulator.control.add_fault("run_never_ends")
    task = TaskRun(lambda: operator(deferrable=False, timeout=0.1), store)
    with pytest.raises(api.RunTimedOutError):
        task.attempt()
    [run] = emulator.control.state()["runs"]
    emulator.control.finish_run(run["run_id"])
    if key == run_record.ADOPT_KEY:
        store.values = {key: json.dumps(run["run_id"])}
    store.blind = True
    assert task.attempt()["run_id"] == run["run_id"]
    assert not store.blind
    assert len(posted_bodies(emulator)) == 1


def test_a_sync_result_is_kept_though_the_store_is_away_for_a_while(emulator: Emulator) -> None:
    store = FailingStore(times=2)
    result = operator(mode="sync").execute(context(store))
    assert store.get(run_record.RUN_KEY)["result"] == result


def test_a_sync_result_that_cannot_be_kept_is_returned_all_the_same(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_waiter, "STORE_PATIENCE", 0.0)
    store = FailingStore(ALWAYS)
    task = TaskRun(lambda: operator(mode="sync"), store)
    assert task.attempt()["outputs"]["Enriched Email"]
    task.clear()
    store.times = 0
    assert task.attempt()["status"] == "completed", "a Clear after the success runs it again"


def test_a_record_that_went_while_the_task_was_deferred_costs_nothing(emulator: Emulator) -> None:
    store = MemoryStore()
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True).execute(context(store))
    event = fire(deferred.value.trigger)
    store.values.clear()
    result = operator(deferrable=True).execute_complete(context(store), event)
    assert result["outputs"][ENRICHED_EMAIL]
    assert len(posted_bodies(emulator)) == 1


def test_without_record_and_result_a_retry_must_not_submit(emulator: Emulator) -> None:
    event = {"outcome": "timed_out", "data": None, "error": None}
    with pytest.raises(api.AmbiguousSubmitError) as caught:
        operator(deferrable=True).execute_complete(context(MemoryStore()), event)
    assert isinstance(caught.value, AirflowFailException)


@pytest.mark.usefixtures("impatient")
def test_a_run_that_bitscale_has_forgotten_is_told_with_the_way_out(emulator: Emulator) -> None:
    store = MemoryStore()
    operator(wait_for_completion=False).execute(context(store))
    emulator.control.reset()
    with pytest.raises(api.NotFoundError, match="delete the key 'bitscale_run'"):
        operator(deferrable=False).execute(context(store))
    assert posted_bodies(emulator) == []


@pytest.mark.parametrize("deferrable", [True, False], ids=["triggerer", "worker"])
def test_a_stray_404_of_something_in_between_is_not_believed(emulator: Emulator, deferrable: bool) -> None:
    page = {"status": 404, "body": "<html>no such backend</html>"}
    emulator.control.add_fault("status", on="get_run", times=2, **page)
    store = MemoryStore()
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            operator(deferrable=True).execute(context(store))
        event = fire(deferred.value.trigger)
        result = operator(deferrable=True).execute_complete(context(store), event)
    else:
        result = operator(deferrable=False).execute(context(store))
    assert result["status"] == "completed"

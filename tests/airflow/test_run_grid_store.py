"""A task state store that fails, or forgets, costs no second run and loses no result that is at hand."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import ENRICHED_EMAIL
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from tests.airflow.conftest import posted_bodies
from tests.airflow.harness import FakeTaskInstance, MemoryStore, fire

CONTRACTS = API_CONTRACTS


class FailingStore(MemoryStore):
    """Fails to keep what BitScale has accepted."""

    def set(self, key: str, value: Any, **retention: Any) -> None:
        if value["phase"] == "submitted":
            raise AirflowException("the API server is away")
        super().set(key, value, **retention)


def operator(**arguments: Any) -> RunGridOperator:
    return RunGridOperator(
        task_id="enrich", grid_id="grid_001", inputs={"Full Name": "Jane"}, poll_interval=0.05, **arguments
    )


def context(store: MemoryStore) -> Any:
    return {"ti": FakeTaskInstance(2), "task_state_store": store}


def test_an_id_that_cannot_be_kept_is_told_and_not_paid_for_again(emulator: Emulator) -> None:
    store = FailingStore()
    with pytest.raises(api.AmbiguousSubmitError) as caught:
        operator(on_ambiguous_submit="resubmit").execute(context(store))
    assert isinstance(caught.value, AirflowFailException)
    [run] = emulator.control.state()["runs"]
    assert run["run_id"] in str(caught.value)


def test_a_sync_result_that_cannot_be_kept_is_returned_all_the_same(emulator: Emulator) -> None:
    result = operator(mode="sync").execute(context(FailingStore()))
    assert result["outputs"]["Enriched Email"]


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

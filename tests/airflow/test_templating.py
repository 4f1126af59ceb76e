"""Templates are rendered once, and data never: seen on the wire of a real `dag.test()`."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_bitscale.emulator import Emulator
from tests.airflow.conftest import FIXTURE_DAGS, RunDag
from tests.support.clients import posted_bodies

HOSTILE = "{{ ds }} {% for x in y %} {# note #} Smith"
NAME, COMPANY = "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890", "7c2b0f4a-1d3e-4a9c-b567-de8f90ab1234"

# What each task of dags/templating.py must have sent.
SENT: dict[str, list[dict[str, Any]]] = {
    "from_params": [{NAME: "Jane Doe", COMPANY: HOSTILE}],
    "from_xcom_arg": [{NAME: HOSTILE, COMPANY: "{{ params.name }}"}],
    "nested": [{NAME: HOSTILE, COMPANY: "Jane Doe"}],
    "pulled": [{NAME: HOSTILE}],
    "mapped": [{NAME: f"{HOSTILE} 0"}, {NAME: f"{HOSTILE} 1"}],
    "columns_and_connection": [{NAME: "Jane Doe"}],
    "deferred_with_a_connection_in_the_database": [{NAME: HOSTILE}],
}


@pytest.fixture
def connection_in_database(_metadata_database: None, emulator: Emulator) -> str:
    """A connection that no environment variable knows, as the UI makes it."""
    from airflow.models import Connection  # what the UI writes; the SDK's class is read-only
    from airflow.utils.session import create_session

    conn_id = "bitscale_in_database"
    with create_session() as session:
        session.merge(Connection(conn_id=conn_id, **emulator.connection()))  # noqa: AIR311
    return conn_id


def test_data_is_never_rendered(run_dag: RunDag, connection_in_database: str, emulator: Emulator) -> None:
    dag = run_dag(FIXTURE_DAGS, "templating")
    assert set(dag.states.values()) == {"success"}, dag.states
    outputs = {
        task_id: [dag.xcom(task_id, index)["outputs"] for index in _indexes(task_id)] for task_id in SENT
    }
    label = {
        task_id: [" | ".join(row.values()) for row in rows] for task_id, rows in SENT.items()
    }  # the grid's formula shows its inputs
    assert {task_id: [row["Label"] for row in rows] for task_id, rows in outputs.items()} == label
    sent = sorted(str(post["inputs"]) for post in posted_bodies(emulator))
    assert sent == sorted(str(row) for rows in SENT.values() for row in rows)
    assert [list(row) for row in outputs["columns_and_connection"]] == [["Label"]]


def _indexes(task_id: str) -> range | list[int]:
    return range(len(SENT[task_id])) if task_id == "mapped" else [-1]


def end_the_run(emulator: Emulator, seconds: float) -> None:
    """End the one run, so many seconds after its submission."""
    until = time.monotonic() + 60
    while not (runs := emulator.control.state()["runs"]) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(seconds)
    emulator.control.finish_run(runs[0]["run_id"])


def test_a_retry_collects_the_run_that_an_earlier_try_paid_for(run_dag: RunDag, emulator: Emulator) -> None:
    # The first try runs out of its half second; the run ends a little later.
    emulator.control.add_fault("run_never_ends", times=1)
    thread = threading.Thread(target=end_the_run, args=(emulator, 0.8))
    thread.start()
    dag = run_dag(FIXTURE_DAGS, "retries")
    thread.join()
    assert dag.xcom("outputs") == ["Jane Doe"]
    assert [ti.try_number for ti in dag.run.get_task_instances(state=None) if ti.task_id == "enrich"] == [2]
    assert len(posted_bodies(emulator)) == 1


def test_a_retry_submits_again_what_bitscale_reports_as_failed(run_dag: RunDag, emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", times=1)
    dag = run_dag(FIXTURE_DAGS, "retries")
    assert dag.xcom("outputs") == ["Jane Doe"]
    assert len(posted_bodies(emulator)) == 2

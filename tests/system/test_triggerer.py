"""Promises of the triggerer: no value harms it, it may go at any time, and waits do not start over."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bitscale.emulator import Emulator
from tests.support.clients import polls
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.statsd import StatsD
from tests.support.waiting import wait_until
from tests.system.dags.one_row import NEVER_ENDS_SECONDS

DAGS = Path(__file__).parent / "dags"
POLLS = "bitscale.requests.get_grids_grid_id_runs_run_id"
TASKS = ("odd_outputs", "odd_reason", "neighbour")
REASON = "half a pair \ud83d, a NUL \x00"
OUTPUTS = {
    "half a pair": "a\ud83db",
    "NUL": "a\x00b",
    "not a number": math.nan,
    "thirty digits": 10**29,
    "nested": [{"a\x00\ud83d": [math.inf, "\ud83d"]}],
}
CARRIED = {
    "half a pair": "a\ufffdb",
    "NUL": "ab",
    "not a number": None,
    "thirty digits": "1" + "0" * 29,
    "nested": [{"a\ufffd": [None, "\ufffd"]}],
}


@pytest.fixture(scope="module")
def bitscale() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def _fresh(bitscale: Emulator, neighbour: Emulator) -> None:
    for emulator in (bitscale, neighbour):
        emulator.control.reset()
        emulator.control.add_fault("run_never_ends")


@pytest.fixture(scope="module")
def metrics() -> Iterator[StatsD]:
    with StatsD() as listening:
        yield listening


@pytest.fixture(scope="module")
def airflow(
    bitscale: Emulator,
    neighbour: Emulator,
    metrics: StatsD,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalAirflow]:
    env = {
        **metrics.env,
        "AIRFLOW__METRICS__METRICS_ALLOW_LIST": POLLS.replace(".", r"\."),
        "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
        "AIRFLOW_CONN_BITSCALE_NEIGHBOUR": neighbour.connection_json(),
    }
    home = tmp_path_factory.mktemp("triggerer")
    with LocalAirflow(home, DAGS, env=env, database_url=postgres.new_database()) as running:
        running.wait_for_dags({"odd_values", "some_rows", "many_rows", "never_ends"})
        yield running


def test_odd_values_of_deferred_runs_leave_the_triggerer_alive(
    airflow: LocalAirflow, bitscale: Emulator, neighbour: Emulator, metrics: StatsD
) -> None:
    bitscale.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": OUTPUTS})
    bitscale.control.add_fault(
        "reshape", on="get_run", when="failed", set={"error": {"code": "RUN_FAILED", "message": REASON}}
    )
    dag_run = airflow.trigger("odd_values")
    for task in TASKS:
        airflow.wait_for_task("odd_values", dag_run, task, "deferred")
    triggerer = airflow.process_ids("triggerer")

    finish(bitscale, "odd outputs", "completed")
    finish(bitscale, "odd reason", "failed")
    airflow.wait_for_task("odd_values", dag_run, "odd_outputs", "success", "failed")
    airflow.wait_for_task("odd_values", dag_run, "odd_reason", "success", "failed")
    finish(neighbour, "neighbour", "completed")
    airflow.wait_for_run("odd_values", dag_run)

    states = airflow.task_states("odd_values", dag_run)
    assert states == {"odd_outputs": "success", "odd_reason": "failed", "neighbour": "success"}
    assert airflow.process_ids("triggerer") == triggerer
    assert airflow.xcom("odd_values", dag_run, "odd_outputs")["outputs"] == CARRIED
    assert airflow.xcom("odd_values", dag_run, "neighbour")["status"] == "completed"
    log = airflow.task_log("odd_values", dag_run, "odd_reason")
    assert "half a pair \ufffd, a NUL" in log, log
    assert "\x00" not in log
    # Of a deferred task, only the triggerer polls.
    assert f"{POLLS}.ok:1|c" in metrics.received()


def finish(bitscale: Emulator, name: str, status: str) -> None:
    """End the run whose inputs hold `name`."""
    (run,) = (run for run in bitscale.control.state()["runs"] if name in run["inputs"].values())
    bitscale.control.finish_run(run["run_id"], status)


@pytest.mark.parametrize(
    ("dag_id", "count"), [("some_rows", 20), pytest.param("many_rows", 100, marks=pytest.mark.slow)]
)
def test_deferred_runs_survive_a_killed_triggerer(
    airflow: LocalAirflow, bitscale: Emulator, dag_id: str, count: int
) -> None:
    rows = airflow.trigger(dag_id)
    airflow.wait_until(lambda: _deferred(airflow, dag_id, rows) == count, "all tasks deferred")
    never = airflow.trigger("never_ends", {"name": "Sisyphus"})
    airflow.wait_for_task("never_ends", never, "enrich", "deferred")

    airflow.restart("triggerer", kill=True)

    restarted, before = time.time(), _polls(bitscale)
    wait_until(
        lambda: _polls(bitscale) >= before + count,
        "polls by the new triggerer",
        progress=lambda: _polls(bitscale),
    )
    assert _deferred(airflow, dag_id, rows) == count
    for run in bitscale.control.state()["runs"]:
        if "Sisyphus" not in run["inputs"].values():
            bitscale.control.finish_run(run["run_id"])
    assert airflow.wait_for_run(dag_id, rows) == "success"
    assert bitscale.control.state()["runs_paid"] == count + 1

    assert airflow.wait_for_run("never_ends", never) == "failed"
    log = airflow.task_log("never_ends", never, "enrich")
    assert "RunTimedOutError" in log, log
    _assert_kept_its_deadline(airflow, bitscale, never, restarted)


def _deferred(airflow: LocalAirflow, dag_id: str, dag_run: str) -> int:
    return sum(task["state"] == "deferred" for task in airflow.task_instances(dag_id, dag_run))


def _polls(bitscale: Emulator) -> int:
    return sum(run["polls"] for run in bitscale.control.state()["runs"])


def _assert_kept_its_deadline(
    airflow: LocalAirflow, bitscale: Emulator, dag_run: str, restarted: float
) -> None:
    """Its last poll came at its deadline or, if that was over by then, at the restart of the triggerer.

    A wait that starts over then polls for its whole timeout; halfway between the two is the bound.
    """
    path = f"/dags/never_ends/dagRuns/{dag_run}/taskInstances/enrich"
    record = airflow.call("GET", f"{path}/state-store/bitscale_run")["value"]
    assert record["phase"] == "submitted", "the record must stay for a retry to go on with"
    last = max(poll["at"] for poll in polls(bitscale) if record["run_id"] in poll["path"])
    kept, started_over = max(record["deadline"], restarted), restarted + NEVER_ENDS_SECONDS
    assert last < (kept + started_over) / 2

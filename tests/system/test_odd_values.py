"""Promise: what JSON allows and Airflow's database does not harms neither its own task nor its neighbours."""

from __future__ import annotations

import math
from pathlib import Path

from airflow_provider_bitscale.emulator import Emulator
from tests.support.postgres import Postgres
from tests.system.conftest import StartAirflow

DAGS = Path(__file__).parent / "dags"
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


def test_odd_values_of_deferred_runs_leave_the_triggerer_alive(
    start_airflow: StartAirflow, postgres: Postgres
) -> None:
    with Emulator() as bitscale, Emulator() as neighbour:
        for emulator in (bitscale, neighbour):
            emulator.control.add_fault("run_never_ends")
        bitscale.control.add_fault("reshape", on="get_run", when="completed", set={"outputs": OUTPUTS})
        bitscale.control.add_fault(
            "reshape", on="get_run", when="failed", set={"error": {"code": "RUN_FAILED", "message": REASON}}
        )
        airflow = start_airflow(
            DAGS,
            database_url=postgres.new_database(),
            env={
                "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
                "AIRFLOW_CONN_BITSCALE_NEIGHBOUR": neighbour.connection_json(),
            },
        )
        airflow.wait_for_dags({"odd_values"})
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


def finish(bitscale: Emulator, name: str, status: str) -> None:
    """End the run whose inputs hold `name`."""
    (run,) = (run for run in bitscale.control.state()["runs"] if name in run["inputs"].values())
    bitscale.control.finish_run(run["run_id"], status)

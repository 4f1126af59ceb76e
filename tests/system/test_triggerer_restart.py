"""Promise: a triggerer may go at any time; runs are not lost, not submitted again, not waited for anew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_bitscale.emulator import Emulator
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.processes import wait_until
from tests.system.conftest import StartAirflow

DAGS = Path(__file__).parent / "dags"


def test_a_hundred_deferred_runs_survive_a_killed_triggerer(
    start_airflow: StartAirflow, postgres: Postgres
) -> None:
    with Emulator() as bitscale:
        bitscale.control.add_fault("run_never_ends")
        airflow = start_airflow(
            DAGS,
            database_url=postgres.new_database(),
            env={"AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json()},
        )
        airflow.wait_for_dags({"many_rows", "never_ends"})
        many = airflow.trigger("many_rows")
        never = airflow.trigger("never_ends", {"name": "Sisyphus"})
        wait_until(lambda: len(_deferred(airflow, many)) == 100, "all tasks deferred", timeout=200)

        airflow.restart("triggerer", kill=True)

        polls = _polls(bitscale)
        wait_until(lambda: _polls(bitscale) >= polls + 100, "polls by the new triggerer", timeout=60)
        assert len(_deferred(airflow, many)) == 100
        for run in bitscale.control.state()["runs"]:
            if "Sisyphus" not in run["inputs"].values():
                bitscale.control.finish_run(run["run_id"])
        assert airflow.wait_for_run("many_rows", many, timeout=200) == "success"
        assert bitscale.control.state()["runs_paid"] == 101

        assert airflow.wait_for_run("never_ends", never, timeout=120) == "failed"
        log = airflow.task_log("never_ends", never, "enrich")
        assert "RunTimedOutError" in log, log
        _assert_ended_at_its_deadline(airflow, never)


def _deferred(airflow: LocalAirflow, run_id: str) -> list[dict[str, Any]]:
    return [task for task in airflow.task_instances("many_rows", run_id) if task["state"] == "deferred"]


def _polls(bitscale: Emulator) -> int:
    return sum(run["polls"] for run in bitscale.control.state()["runs"])


def _assert_ended_at_its_deadline(airflow: LocalAirflow, run_id: str) -> None:
    """Ended within half its timeout after the deadline: a wait that started over would end later."""
    path = f"/dags/never_ends/dagRuns/{run_id}/taskInstances/enrich"
    record = airflow.call("GET", f"{path}/state-store/bitscale_run")["value"]
    ended = datetime.fromisoformat(airflow.call("GET", path)["end_date"]).timestamp()
    assert record["phase"] == "submitted", "the record must stay for a retry to go on with"
    assert record["deadline"] <= ended <= record["deadline"] + 45 / 2

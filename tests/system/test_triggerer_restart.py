"""Promise: a triggerer may go at any time; runs are not lost, not submitted again, not waited for anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from airflow_provider_bitscale.emulator import Emulator
from tests.api.clients import polls
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.waiting import wait_until
from tests.system.conftest import StartAirflow
from tests.system.dags.one_row import NEVER_ENDS_SECONDS

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
        airflow.wait_until(lambda: len(_deferred(airflow, many)) == 100, "all tasks deferred")
        never = airflow.trigger("never_ends", {"name": "Sisyphus"})
        airflow.wait_for_task("never_ends", never, "enrich", "deferred")

        airflow.restart("triggerer", kill=True)

        restarted, before = time.time(), _polls(bitscale)
        wait_until(
            lambda: _polls(bitscale) >= before + 100,
            "polls by the new triggerer",
            progress=lambda: _polls(bitscale),
        )
        assert len(_deferred(airflow, many)) == 100
        for run in bitscale.control.state()["runs"]:
            if "Sisyphus" not in run["inputs"].values():
                bitscale.control.finish_run(run["run_id"])
        assert airflow.wait_for_run("many_rows", many) == "success"
        assert bitscale.control.state()["runs_paid"] == 101

        assert airflow.wait_for_run("never_ends", never) == "failed"
        log = airflow.task_log("never_ends", never, "enrich")
        assert "RunTimedOutError" in log, log
        _assert_kept_its_deadline(airflow, bitscale, never, restarted)


def _deferred(airflow: LocalAirflow, run_id: str) -> list[dict[str, Any]]:
    return [task for task in airflow.task_instances("many_rows", run_id) if task["state"] == "deferred"]


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

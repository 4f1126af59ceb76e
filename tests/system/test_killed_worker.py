"""Promise: a worker that dies at any moment costs no second run, and loses none that was paid for."""

from __future__ import annotations

from collections import Counter
from importlib import reload
from pathlib import Path

import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY, FULL_NAME
from tests.system.conftest import StartAirflow
from tests.system.dags import kill_sweep

DAGS = Path(__file__).parent / "dags"


@pytest.mark.parametrize(("contract", "post"), [("v1.1.0", 2), ("workspace-key", 3)])
def test_sigkill_at_every_step_pays_once_or_says_it_is_ambiguous(
    start_airflow: StartAirflow, monkeypatch: pytest.MonkeyPatch, contract: str, post: int
) -> None:
    monkeypatch.setenv("KILL_SWEEP_POST", str(post))
    sweep_dag = reload(kill_sweep)
    with Emulator(contract=contract, run_seconds=(0.8, 1.2)) as bitscale:
        env = {
            "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
            "KILL_SWEEP_POST": str(post),
        }
        airflow = start_airflow(DAGS, env=env)
        airflow.wait_for_dags({"kill_sweep"})
        run_id = airflow.trigger("kill_sweep")
        airflow.wait_for_run("kill_sweep", run_id)

        paid = Counter(
            (run["inputs"][FULL_NAME], run["inputs"][COMPANY]) for run in bitscale.control.state()["runs"]
        )
        wrong = []
        for task in airflow.task_instances("kill_sweep", run_id):
            sweep, index = task["task_id"], task["map_index"]
            point = sweep_dag.SWEEPS[sweep][1][index]
            seen = (task["state"], paid[sweep, point], task["try_number"] > 1)
            log = ""
            if point in sweep_dag.IN_DOUBT:
                log = airflow.task_log("kill_sweep", run_id, sweep, task["try_number"], index)
                good = seen in {("failed", 0, True), ("failed", 1, True)} and "AmbiguousSubmitError" in log
            else:
                good = seen == ("success", 1, True)
                good = good and bool(airflow.xcom("kill_sweep", run_id, sweep, map_index=index)["outputs"])
            if not good:
                wrong.append(f"{sweep}, killed at {point}: state, paid, retried = {seen}\n{log[-1500:]}")
        assert not wrong, "\n".join(wrong)
        answered = f"execute call connection.getresponse {post}"
        assert paid["waiting", answered] == 1, "the kill was not after the POST"
        leaving = f"execute call sessions.request {post}"
        assert paid["waiting", leaving] == 0, "the kill was not before the POST"

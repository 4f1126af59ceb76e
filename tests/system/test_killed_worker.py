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


@pytest.mark.parametrize(
    ("dag_id", "contract", "post"),
    [
        ("kill_samples", "v1.1.0", 2),
        pytest.param("kill_sweep", "v1.1.0", 2, marks=pytest.mark.slow),
        pytest.param("kill_sweep", "workspace-key", 3, marks=pytest.mark.slow),
    ],
)
def test_sigkill_at_every_step_pays_once_or_says_it_is_ambiguous(
    start_airflow: StartAirflow, monkeypatch: pytest.MonkeyPatch, dag_id: str, contract: str, post: int
) -> None:
    monkeypatch.setenv("KILL_SWEEP_POST", str(post))
    reload(kill_sweep)
    sweeps = kill_sweep.SWEEPS if dag_id == "kill_sweep" else kill_sweep.SAMPLES
    with Emulator(contract=contract, run_seconds=(0.8, 1.2)) as bitscale:
        env = {
            "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
            "KILL_SWEEP_POST": str(post),
            # The points of the sweep are counted by requests: each task is to ask for the grid itself.
            "AIRFLOW__BITSCALE__GRID_CACHE_SECONDS": "0",
        }
        airflow = start_airflow(DAGS, env=env)
        airflow.wait_for_dags({dag_id})
        run_id = airflow.trigger(dag_id)
        airflow.wait_for_run(dag_id, run_id)

        paid = Counter(
            (run["inputs"][FULL_NAME], run["inputs"][COMPANY]) for run in bitscale.control.state()["runs"]
        )
        wrong = []
        for task in airflow.task_instances(dag_id, run_id):
            sweep, index = task["task_id"], task["map_index"]
            point = sweeps[sweep][1][index]
            seen = (task["state"], paid[sweep, point], task["try_number"] > 1)
            log = ""
            if point in kill_sweep.AMBIGUOUS:
                log = airflow.task_log(dag_id, run_id, sweep, task["try_number"], index)
                good = seen in {("failed", 0, True), ("failed", 1, True)} and "AmbiguousSubmitError" in log
            else:
                good = seen == ("success", 1, True)
                good = good and bool(airflow.xcom(dag_id, run_id, sweep, map_index=index)["outputs"])
            if not good:
                wrong.append(f"{sweep}, killed at {point}: state, paid, retried = {seen}\n{log[-1500:]}")
        assert not wrong, "\n".join(wrong)
        assert paid["waiting", kill_sweep.ANSWERED] == 1, "the kill was not after the POST"
        assert paid["waiting", kill_sweep.LEAVING] == 0, "the kill was not before the POST"

"""What a row costs as a mapped task and as a row of a batch, under a real Airflow: requests and seconds.

No rate limit, runs of 1 to 3 seconds, LocalExecutor with four slots, SQLite: the table of docs/how-to.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from airflow_provider_bitscale.emulator import Emulator
from tests.benchmarks.figures import Figure
from tests.support.local_airflow import LocalAirflow

_ROWS = 20
_MANY = 2_500
_DAGS = """
from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator


def rows(count):
    return [{{"Full Name": f"Person {{number}}", "Company": "Analytical Engines"}} for number in range(count)]


for dag_id, deferrable in (("mapped_deferrable", True), ("mapped", False)):
    with DAG(dag_id, schedule=None, max_active_tasks=64):
        RunGridOperator.partial(task_id="enrich", grid_id="grid_001", deferrable=deferrable).expand(
            inputs=rows({few})
        )

for dag_id, count in (("batch", {few}), ("large_batch", {many})):
    with DAG(dag_id, schedule=None):
        RunGridBatchOperator(
            task_id="enrich", grid_id="grid_001", rows=rows(count), output_path="{output}/" + dag_id
        )
"""


def ways(home: Path) -> list[Figure]:
    """Run each way once."""
    folder = home / "ways"
    dags = folder / "dags"
    dags.mkdir(parents=True)
    text = _DAGS.format(few=_ROWS, many=_MANY, output=folder / "output")
    (dags / "ways.py").write_text(text, encoding="utf-8")
    with Emulator(run_seconds=(1.0, 3.0)) as bitscale:
        env = {"AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json()}
        with LocalAirflow(folder / "airflow", dags, env=env, parallelism=4) as airflow:
            counts = {"mapped_deferrable": _ROWS, "mapped": _ROWS, "batch": _ROWS, "large_batch": _MANY}
            airflow.wait_for_dags(set(counts))
            return [_way(airflow, bitscale, dag_id, rows) for dag_id, rows in counts.items()]


def _way(airflow: LocalAirflow, bitscale: Emulator, dag_id: str, rows: int) -> Figure:
    before = len(bitscale.control.requests())
    run_id = airflow.trigger(dag_id)
    if airflow.wait_for_run(dag_id, run_id) != "success":
        raise RuntimeError(f"{dag_id}: {airflow.task_states(dag_id, run_id)}")
    run = airflow.call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
    seconds = (_time(run["end_date"]) - _time(run["start_date"])).total_seconds()
    requests = len(bitscale.control.requests()) - before
    return Figure(
        f"{rows} rows, {dag_id}: requests a row",
        f"{requests / rows:.2f}",
        raw=f"{seconds:.1f} s, {seconds / rows:.3f} s a row",
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))

"""What deliveries save, and how soon they tell: a real Airflow on PostgreSQL, told by the emulator.

Two batches of 1,000 rows, with trust and without; then tasks in the triggerer, whose runs are ended together
once all of them wait.
"""

from __future__ import annotations

import time
from pathlib import Path

from airflow_provider_bitscale.emulator import Emulator
from tests.benchmarks.figures import Figure, at_most, skipped
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.processes import free_port, wait_until

_DAGS = Path(__file__).parents[1] / "system" / "dags"
_ROWS = 1_000
# Of a batch: its requests for each row.
_BATCHES = {"batch_trusts": 1.02, "batch_confirms": 2.02}
_WAITING = 12
_TAKE_OVER_SECONDS = 10.0
_PROMISED_SECONDS = 2.0
_LATENCY = "delivery to confirming look, longest / 2 s"


def webhooks(home: Path) -> list[Figure]:
    """Requests a row, and seconds from a delivery to the look that confirms it."""
    if reason := Postgres.missing_reason():
        batches = [
            skipped(f"requests a row, {name}", f"<= {most}", reason) for name, most in _BATCHES.items()
        ]
        return [*batches, skipped(_LATENCY, "<= 1", reason)]
    port = free_port()
    with Postgres() as server, Emulator(webhook_target=f"http://127.0.0.1:{port}") as bitscale:
        env = {
            "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
            "AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": "bitscale_default",
            "BATCH_OUTPUT": str(home / "output"),
        }
        database = server.new_database()
        with LocalAirflow(home / "webhooks", _DAGS, env=env, port=port, database_url=database) as airflow:
            airflow.wait_for_dags({*_BATCHES, "awaits"})
            return [*_requests(airflow, bitscale), _latency(airflow, bitscale)]


def _requests(airflow: LocalAirflow, bitscale: Emulator) -> list[Figure]:
    figures = []
    for dag_id, most in _BATCHES.items():
        bitscale.control.reset()
        run_id = airflow.trigger(dag_id)
        state = airflow.wait_for_run(dag_id, run_id, timeout=300)
        manifest = airflow.xcom(dag_id, run_id, "enrich")
        requests = len(bitscale.control.requests())
        raw = f"{requests:,} requests, {_ROWS:,} rows in {manifest['seconds']:.1f} s, {state}"
        figures.append(at_most(f"requests a row, {dag_id}", requests / _ROWS, most, raw=raw))
    return figures


def _latency(airflow: LocalAirflow, bitscale: Emulator) -> Figure:
    bitscale.control.reset()
    bitscale.control.add_fault("run_never_ends")
    run_ids = [airflow.trigger("awaits", {"name": f"Lead {number}"}) for number in range(_WAITING)]
    for run_id in run_ids:
        airflow.wait_for_task("awaits", run_id, "enrich", "deferred", timeout=120)
    # Until the triggerer has taken over the last of them.
    time.sleep(_TAKE_OVER_SECONDS)
    for run in bitscale.control.state()["runs"]:
        bitscale.control.finish_run(run["run_id"])
    wait_until(
        lambda: all(run["polls"] for run in bitscale.control.state()["runs"]), "a look at each", timeout=60
    )
    delivered = {
        each["run_id"]: each["attempts"][-1]["at"] for each in bitscale.control.state()["deliveries"]
    }
    seen: dict[str, float] = {}
    for request in bitscale.control.requests():
        if request["method"] == "GET":
            seen.setdefault(request["path"].rpartition("/")[2], request["at"])
    late = sorted(seen[run_id] - at for run_id, at in delivered.items())
    for run_id in run_ids:
        airflow.wait_for_run("awaits", run_id, timeout=120)
    raw = f"{len(late)} tasks, {late[0]:.2f} to {late[-1]:.2f} s"
    return at_most(_LATENCY, late[-1] / _PROMISED_SECONDS, 1, raw=raw)

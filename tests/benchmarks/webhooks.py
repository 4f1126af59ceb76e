"""What deliveries save, and how soon they tell: a real Airflow on PostgreSQL, told by the emulator.

Two batches of 1,000 rows, with trust and without; then tasks in the triggerer, whose runs are ended together
once all of them wait. And what does not get through: 200 deliveries at once to API workers that have just
started, and 50 while the database refuses for 20 s, which BitScale attempts four times.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow_provider_bitscale.api import Client
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.benchmarks.figures import Figure, at_most, skipped
from tests.support.clients import config_for
from tests.support.deliveries import PATH, a_run, deliver, refuse
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.processes import free_port
from tests.support.waiting import wait_until

_DAGS = Path(__file__).parents[1] / "system" / "dags"
_ROWS = 1_000
# Of a batch: its requests for each row.
_BATCHES = {"batch_trusts": 1.02, "batch_confirms": 2.02}
_WAITING = 12
_TAKE_OVER_SECONDS = 10.0
_PROMISED_SECONDS = 2.0
_AT_ONCE = 200
_FRESH = f"{_AT_ONCE} deliveries at once to two fresh API workers, longest / 10 s"
_REFUSED = 50
_REFUSES_SECONDS = 20.0
_LOST = f"of {_REFUSED} deliveries, lost while the database refused for {_REFUSES_SECONDS:g} s"
_LATENCY = "delivery to confirming look, longest / 2 s"


def webhooks(home: Path) -> list[Figure]:
    """Requests a row, and seconds from a delivery to the look that confirms it."""
    if reason := Postgres.missing_reason():
        batches = [
            skipped(f"requests a row, {name}", f"<= {most}", reason) for name, most in _BATCHES.items()
        ]
        latencies = [skipped(name, "<= 1", reason) for name in (_LATENCY, _FRESH)]
        return [*batches, *latencies, skipped(_LOST, "<= 0", reason)]
    port = free_port()
    with Postgres() as server, Emulator(webhook_target=f"http://127.0.0.1:{port}") as bitscale:
        env = {
            "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
            "AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": "bitscale_default",
            "BATCH_OUTPUT": str(home / "output"),
        }
        database = server.new_database()
        with LocalAirflow(
            home / "webhooks", _DAGS, env=env, port=port, database_url=database, api_workers=2
        ) as airflow:
            airflow.wait_for_dags({*_BATCHES, "awaits", "collects"})
            figures = [*_requests(airflow, bitscale), _latency(airflow, bitscale)]
            for component in ("scheduler", "triggerer", "dag-processor"):
                airflow.stop(component)
            return [*figures, _fresh(airflow), _refused(airflow, bitscale, server, database)]


def _requests(airflow: LocalAirflow, bitscale: Emulator) -> list[Figure]:
    figures = []
    for dag_id, most in _BATCHES.items():
        bitscale.control.reset()
        run_id = airflow.trigger(dag_id)
        state = airflow.wait_for_run(dag_id, run_id)
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
        airflow.wait_for_task("awaits", run_id, "enrich", "deferred")
    # Until the triggerer has taken over the last of them.
    time.sleep(_TAKE_OVER_SECONDS)
    for run in bitscale.control.state()["runs"]:
        bitscale.control.finish_run(run["run_id"])
    wait_until(lambda: all(run["polls"] for run in bitscale.control.state()["runs"]), "a poll of each")
    delivered = {
        each["run_id"]: each["attempts"][-1]["at"] for each in bitscale.control.state()["deliveries"]
    }
    seen: dict[str, float] = {}
    for request in bitscale.control.requests():
        if request["method"] == "GET":
            seen.setdefault(request["path"].rpartition("/")[2], request["at"])
    late = sorted(seen[run_id] - at for run_id, at in delivered.items())
    for run_id in run_ids:
        airflow.wait_for_run("awaits", run_id)
    raw = f"{len(late)} tasks, {late[0]:.2f} to {late[-1]:.2f} s"
    return at_most(_LATENCY, late[-1] / _PROMISED_SECONDS, 1, raw=raw)


def _fresh(airflow: LocalAirflow) -> Figure:
    airflow.restart("api-server")
    took: list[float] = []

    def answer(number: int) -> int:
        began = time.monotonic()
        status = deliver(airflow, a_run(f"run_to_fresh_workers_{number}"))
        took.append(time.monotonic() - began)
        return status

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = Counter(pool.map(answer, range(_AT_ONCE)))
    # Whatever is not accepted counts as never answered.
    longest = max(took) if answers.keys() == {202} else float("inf")
    return at_most(_FRESH, longest / 10.0, 1, raw=f"{dict(answers)}, {min(took):.2f} to {max(took):.2f} s")


def _refused(airflow: LocalAirflow, bitscale: Emulator, server: Postgres, database: str) -> Figure:
    bitscale.control.reset()
    bitscale.control.add_fault("run_never_ends")
    with Client(config_for(bitscale)) as client:
        url = f"https://airflow.example.com{PATH}"
        runs = [
            client.run_grid(bitscale.grid_id, {FULL_NAME: f"Lead {number}"}, webhook_url=url).run_id
            for number in range(_REFUSED)
        ]
    refuse(server, database.rpartition("/")[2], True)
    try:
        for run_id in runs:
            bitscale.control.finish_run(str(run_id))
        time.sleep(_REFUSES_SECONDS)
    finally:
        refuse(server, database.rpartition("/")[2], False)

    def told() -> list[dict[str, Any]]:
        deliveries: list[dict[str, Any]] = bitscale.control.state()["deliveries"]
        is_over = all(each["acknowledged"] or len(each["attempts"]) == 4 for each in deliveries)
        return deliveries if is_over and len(deliveries) == _REFUSED else []

    deliveries = wait_until(told, "the last attempts")
    attempts = Counter(len(each["attempts"]) for each in deliveries)
    lost = sum(not each["acknowledged"] for each in deliveries)
    return at_most(_LOST, lost, 0, raw=f"attempts: {dict(attempts)}")

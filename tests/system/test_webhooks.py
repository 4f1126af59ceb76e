"""Promises of webhooks: what BitScale delivers to a real API server starts DAGs and ends waiting."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy
from airflow.sdk import ObjectStoragePath

from airflow_provider_bitscale.api import Client
from airflow_provider_bitscale.api.carriable import carriable
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY
from airflow_provider_bitscale.emulator.webhooks import sign
from airflow_provider_bitscale.runs.polling import SELDOM_SECONDS
from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH
from tests.support.clients import config_for
from tests.support.deliveries import a_run, acknowledged, deliver, delivered_run_ids, session
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.processes import free_port
from tests.system.dags.kill_sweep import AMBIGUOUS

DAGS = Path(__file__).parent / "dags"
FORGETFUL = f"{RECEIVER_PATH}/forgetful"
DAG_IDS = {
    "forgets", "awaits", "trusts", "senses", "collects", "kill_sweep_delivered", "batch_trusts",
    "batch_is_killed", "forgets_many", "collects_undelivered",
}  # fmt: skip


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def bitscale(port: int) -> Iterator[Emulator]:
    with Emulator(webhook_target=f"http://127.0.0.1:{port}", webhook_backoff=4.0) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture(scope="module")
def airflow(
    bitscale: Emulator, port: int, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    # On SQLite the scheduler may overlook an event that comes while it makes a run of another one.
    env = {
        "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
        # With which nothing has been submitted when the runs are that are collected.
        "AIRFLOW_CONN_FORGETFUL": bitscale.connection_json(),
        "AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": "bitscale_default,forgetful",
        # Where tasks are killed is counted by requests: each is to ask for the grid itself.
        "AIRFLOW__BITSCALE__GRID_CACHE_SECONDS": "0",
    }
    home = tmp_path_factory.mktemp("webhooks")
    env["BATCH_OUTPUT"] = str(home / "output")
    with LocalAirflow(home, DAGS, env=env, port=port, database_url=database) as running:
        running.wait_for_dags(DAG_IDS)
        yield running


@pytest.fixture(autouse=True)
def _fresh(bitscale: Emulator) -> None:
    bitscale.control.reset()


def collected(airflow: LocalAirflow) -> dict[str, Any]:
    """What all runs of the collecting DAG have collected, by BitScale's run id."""
    found: dict[str, Any] = {}
    for run in airflow.call("GET", "/dags/collects/dagRuns", params={"limit": 100})["dag_runs"]:
        if run["state"] == "success":
            found |= airflow.xcom("collects", run["dag_run_id"], "collect")
    return found


WRONG: dict[str, tuple[dict[str, Any] | bytes, dict[str, str], int]] = {
    "signed wrong": (a_run("run_1"), {"X-BitScale-Signature": "0" * 64}, 401),
    "signed for another body": (
        a_run("run_1"),
        {"X-BitScale-Signature": sign(b"{}", Emulator.webhook_secret)},
        401,
    ),
    "not signed": (a_run("run_1"), {"X-BitScale-Signature": ""}, 401),
    "of another run": (a_run("run_1"), {"X-BitScale-Run-Id": "run_2"}, 400),
    "not JSON": (b"status=completed", {}, 400),
    "nested deeply": (b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", {}, 400),
    "10 MB": (b" " * 10_000_000, {}, 413),
}


@pytest.mark.parametrize(("run", "headers", "status"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_to_be_believed_is_refused(
    airflow: LocalAirflow, run: dict[str, Any] | bytes, headers: dict[str, str], status: int
) -> None:
    assert deliver(airflow, run, **headers) == status


@pytest.mark.parametrize("name", ["another", "docs", "openapi.json"])
def test_strangers_learn_nothing(airflow: LocalAirflow, name: str) -> None:
    path = f"/bitscale/webhooks/{name}"
    assert deliver(airflow, a_run("run_1"), path) == 401, "as if it were signed wrong"
    assert requests.get(airflow.url + path, timeout=15).status_code == 405


def test_deliveries_start_a_dag_once_for_each_run(airflow: LocalAirflow) -> None:
    assert deliver(airflow, a_run("run_of_another_grid", grid_id="grid_of_nobody")) == 202
    with ThreadPoolExecutor(8) as pool:
        at_once = sorted(pool.map(lambda _: deliver(airflow, a_run("run_delivered_eight_times")), range(8)))
    assert at_once == [200] * 7 + [202]
    assert deliver(airflow, a_run("run_delivered_eight_times")) == 200
    assert deliver(airflow, a_run("run_2", outputs={"c": 2})) == 202
    airflow.wait_until(
        lambda: collected(airflow).keys() >= {"run_delivered_eight_times", "run_2"}, "both runs collected"
    )
    assert json.loads(collected(airflow)["run_2"]) == {"c": 2}


def test_many_deliveries_at_once_are_all_collected_each_by_one_event(airflow: LocalAirflow) -> None:
    # With what a page may have and a database may not take.
    runs = [a_run(f"run_of_many_{number}", outputs={"c": f"{number} \0 \ud800"}) for number in range(30)]
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda run: deliver(airflow, run), runs)) == {202}
    wanted = {run["run_id"] for run in runs}
    airflow.wait_until(lambda: collected(airflow).keys() >= wanted, "all of them collected")
    found = collected(airflow)
    assert [json.loads(found[run["run_id"]]) for run in runs] == [carriable(run["outputs"]) for run in runs]
    delivered = delivered_run_ids(airflow)
    assert len(delivered) == len(set(delivered))


def test_a_run_that_no_task_waits_for_is_collected_by_event_without_a_poll(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    run_id = airflow.trigger("forgets", {"name": "Ada"})
    assert airflow.wait_for_run("forgets", run_id) == "success"
    [run] = bitscale.control.state()["runs"]
    found = airflow.wait_until(lambda: collected(airflow).get(run["run_id"]), "its outputs")
    assert found
    assert polls(bitscale) == 0


def finish(airflow: LocalAirflow, bitscale: Emulator, dag_id: str) -> float:
    """Finish the run that a deferred task waits for; seconds from there to the end of the task."""
    bitscale.control.add_fault("run_never_ends")
    run_id = airflow.trigger(dag_id, {"name": "Grace"})
    airflow.wait_for_task(dag_id, run_id, "enrich", "deferred")
    [run] = airflow.wait_until(lambda: bitscale.control.state()["runs"], "the submission")
    before = polls(bitscale)
    bitscale.control.finish_run(run["run_id"])
    [delivered] = airflow.wait_until(lambda: acknowledged(bitscale), "the delivery")
    assert airflow.wait_for_run(dag_id, run_id) == "success"
    assert airflow.xcom(dag_id, run_id, "enrich")["run_id"] == run["run_id"]
    assert airflow.xcom(dag_id, run_id, "enrich")["filled_columns"]
    [task] = [ti for ti in airflow.task_instances(dag_id, run_id) if ti["task_id"] == "enrich"]
    ended = datetime.fromisoformat(task["end_date"]).timestamp()
    assert polls(bitscale) - before == (0 if dag_id == "trusts" else 1)
    return ended - float(delivered["attempts"][-1]["at"])


@pytest.mark.parametrize("dag_id", ["awaits", "trusts", "senses"])
def test_a_deferred_run_finishes_by_its_delivery(
    airflow: LocalAirflow, bitscale: Emulator, dag_id: str
) -> None:
    # A poll alone would come a minute after the deferral. The worker that ends the task has to start, too.
    assert finish(airflow, bitscale, dag_id) < 0.75 * SELDOM_SECONDS


def test_a_delivery_is_repeated_until_the_api_server_is_back(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    bitscale.control.add_fault("run_never_ends")
    run_id = airflow.trigger("forgets", {"name": "Alan"})
    assert airflow.wait_for_run("forgets", run_id) == "success"
    [run] = bitscale.control.state()["runs"]
    airflow.stop("api-server")
    bitscale.control.finish_run(run["run_id"])
    airflow.wait_until(lambda: bitscale.control.state()["deliveries"], "the first attempt")
    airflow.start("api-server")
    airflow.wait_until(lambda: collected(airflow).get(run["run_id"]), "its outputs")
    assert len(bitscale.control.state()["deliveries"][0]["attempts"]) > 1


def test_deliveries_that_are_lost_are_collected_once_and_start_dags_once(
    airflow: LocalAirflow, bitscale: Emulator, database: str
) -> None:
    with session(database) as locking:
        # The first of them succeed at the same moment.
        locking.execute(sqlalchemy.text("LOCK TABLE asset_event IN EXCLUSIVE MODE"))
        run_id = airflow.trigger("forgets_many")
        held_up = sqlalchemy.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        airflow.wait_until(lambda: (locking.scalar(held_up) or 0) >= 2, "two that succeed")
    assert airflow.wait_for_run("forgets_many", run_id) == "success"
    submitted = {run["run_id"] for run in bitscale.control.state()["runs"]}
    airflow.wait_until(
        lambda: all(run["status"] == "completed" for run in bitscale.control.state()["runs"]),
        "the end of all runs",
    )

    assert set(collect_undelivered(airflow)["delivered"]) == submitted
    assert [run["polls"] for run in bitscale.control.state()["runs"]] == [1] * len(submitted)
    airflow.wait_until(lambda: collected(airflow).keys() >= submitted, "their outputs")
    assert not any(each["acknowledged"] for each in bitscale.control.state()["deliveries"])

    assert collect_undelivered(airflow) == {"delivered": [], "open": [], "given_up": []}
    with Client(config_for(bitscale)) as client:
        late = [client.get_run("grid_001", each).raw for each in submitted]
    again = {deliver(airflow, {**run, "grid_id": "grid_001"}, FORGETFUL) for run in late}
    assert again == {200}, "duplicates"
    told = Counter(delivered_run_ids(airflow))
    assert {told[each] for each in submitted} == {1}
    assert bitscale.control.state()["runs_paid"] == len(submitted) == 12


def collect_undelivered(airflow: LocalAirflow) -> dict[str, list[str]]:
    run_id = airflow.trigger("collects_undelivered", {"airflow": airflow.url})
    assert airflow.wait_for_run("collects_undelivered", run_id) == "success"
    found: dict[str, list[str]] = airflow.xcom("collects_undelivered", run_id, "collect")
    return found


def test_a_kill_between_post_and_answer_ends_collected(airflow: LocalAirflow, bitscale: Emulator) -> None:
    dag_id = "kill_sweep_delivered"
    run_id = airflow.trigger(dag_id)
    airflow.wait_for_run(dag_id, run_id)
    paid = Counter(run["inputs"][COMPANY] for run in bitscale.control.state()["runs"])
    assert set(paid.values()) == {1}
    ended = {
        point: (task["state"], task["try_number"])
        for task in airflow.task_instances(dag_id, run_id)
        for point in (AMBIGUOUS[task["map_index"]],)
    }
    # Collected by the second try; the others never arrived, which cannot be known.
    assert ended == {point: ("success" if paid[point] else "failed", 2) for point in AMBIGUOUS}
    assert len(paid) >= 3


def test_a_trusting_batch_needs_one_request_for_each_row(airflow: LocalAirflow, bitscale: Emulator) -> None:
    run_id = airflow.trigger("batch_trusts")
    assert airflow.wait_for_run("batch_trusts", run_id) == "success"
    manifest = airflow.xcom("batch_trusts", run_id, "enrich")
    assert manifest["counts"]["succeeded"] == 1000
    assert all(row["Size"] for row in rows_of(manifest))
    assert len(bitscale.control.requests()) / 1000 <= 1.02


def test_a_batch_that_is_killed_settles_every_row_that_was_paid_for(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    # The answers to what has arrived are on their way when the process dies.
    bitscale.control.add_fault("latency", on="run_grid", seconds=1.0)
    run_id = airflow.trigger("batch_is_killed")
    airflow.wait_until(lambda: len(bitscale.control.state()["runs"]) >= 60, "some runs")
    [task] = airflow.task_instances("batch_is_killed", run_id)
    os.kill(task["pid"], signal.SIGKILL)
    assert airflow.wait_for_run("batch_is_killed", run_id) == "success"
    paid = Counter(value for run in bitscale.control.state()["runs"] for value in run["inputs"].values())
    assert set(paid.values()) == {1}
    manifest = airflow.xcom("batch_is_killed", run_id, "enrich")
    settled: dict[str, set[str]] = {"succeeded": set(), "unknown": set()}
    for row in rows_of(manifest):
        settled[row["_status"]].add(row["name"])
    assert settled["succeeded"] == paid.keys()
    assert len(settled["unknown"]) == 400 - len(paid)


def rows_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [ObjectStoragePath(part).read_text() for part in manifest["parts"]]
    return [json.loads(line) for part in parts for line in part.splitlines()]


def polls(bitscale: Emulator) -> int:
    return sum(run["polls"] for run in bitscale.control.state()["runs"])

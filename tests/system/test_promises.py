"""Promises that take a real Airflow to show: retries, Clear, a short outage, secrecy, the examples."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.support.clients import polls
from tests.support.examples import EXAMPLE_CONN_ID, EXAMPLE_DAGS
from tests.support.local_airflow import LocalAirflow
from tests.support.processes import free_port

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


# Under one contract: that both keep these promises is shown without an Airflow, and in one by the demo and
# by the kill sweep.
@pytest.fixture(scope="module")
def bitscale(port: int) -> Iterator[Emulator]:
    with Emulator(run_seconds=(1.0, 2.0), webhook_target=f"http://127.0.0.1:{port}") as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def _fresh(bitscale: Emulator) -> None:
    bitscale.control.reset()


@pytest.fixture(scope="module")
def metrics() -> Iterator[socket]:
    """Where a StatsD server would listen."""
    with socket(AF_INET, SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        yield listening


@pytest.fixture(scope="module")
def airflow(
    bitscale: Emulator, port: int, metrics: socket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("promises")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "tests").symlink_to(DAGS)
    (dags / "examples").symlink_to(EXAMPLE_DAGS)
    env = {
        "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
        f"AIRFLOW_CONN_{EXAMPLE_CONN_ID.upper()}": bitscale.connection_json(),
        "AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": EXAMPLE_CONN_ID,
        "BITSCALE_EXAMPLE_OUTPUT": str(folder),
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_PORT": str(metrics.getsockname()[1]),
        "AIRFLOW__METRICS__METRICS_ALLOW_LIST": r"bitscale\.batch",
    }
    with LocalAirflow(folder / "airflow", dags, env=env, port=port) as running:
        running.wait_for_dags({"one_row_deferred", "bitscale_enrich_csv"})
        yield running


def paid(bitscale: Emulator) -> int:
    runs: int = bitscale.control.state()["runs_paid"]
    return runs


def succeed(airflow: LocalAirflow, dag_id: str, **conf: Any) -> str:
    run_id = airflow.trigger(dag_id, conf)
    assert airflow.wait_for_run(dag_id, run_id) == "success", airflow.task_log(dag_id, run_id, "enrich")
    return run_id


@pytest.mark.parametrize("dag_id", ["one_row_deferred", "one_row_waiting"])
def test_clear_after_success_runs_again(airflow: LocalAirflow, bitscale: Emulator, dag_id: str) -> None:
    run_id = succeed(airflow, dag_id, name="Ada")
    first = airflow.xcom(dag_id, run_id, "enrich")["run_id"]

    airflow.clear(dag_id, run_id)

    assert airflow.wait_for_run(dag_id, run_id) == "success"
    assert airflow.xcom(dag_id, run_id, "enrich")["run_id"] != first
    assert paid(bitscale) == 2


def test_retry_after_bitscale_says_failed_submits_again(airflow: LocalAirflow, bitscale: Emulator) -> None:
    bitscale.control.add_fault("run_fails", message="the model was out of office", times=1)

    run_id = succeed(airflow, "one_row_deferred", name="Grace")

    assert "the model was out of office" in airflow.task_log("one_row_deferred", run_id, "enrich", 1)
    assert paid(bitscale) == 2


@pytest.mark.parametrize(
    ("dag_id", "error"),
    [("one_row_impatient", "RunTimedOutError"), ("one_row_out_of_time", "AirflowTaskTimeout")],
    ids=["its own", "execution_timeout"],
)
def test_retry_after_a_timeout_collects_the_same_run(
    airflow: LocalAirflow, bitscale: Emulator, dag_id: str, error: str
) -> None:
    bitscale.control.add_fault("run_never_ends", times=1)
    run_id = airflow.trigger(dag_id, {"name": "Alan"})
    airflow.wait_until(
        lambda: any(task["try_number"] > 1 for task in airflow.task_instances(dag_id, run_id)), "a second try"
    )

    (run,) = bitscale.control.state()["runs"]
    bitscale.control.finish_run(run["run_id"])

    assert airflow.wait_for_run(dag_id, run_id) == "success"
    assert error in airflow.task_log(dag_id, run_id, "enrich", 1)
    assert paid(bitscale) == 1


def test_a_person_names_the_run_whose_answer_was_lost_and_a_clear_collects_it(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    bitscale.control.add_fault("lost_answer", on="run_grid", times=1)
    run_id = airflow.trigger("one_row_deferred", {"name": "Barbara"})
    assert airflow.wait_for_run("one_row_deferred", run_id) == "failed"

    (run,) = bitscale.control.state()["runs"]
    store = f"/dags/one_row_deferred/dagRuns/{run_id}/taskInstances/enrich/state-store"
    airflow.call("PUT", f"{store}/bitscale_adopt_run_id?map_index=-1", json={"value": run["run_id"]})
    airflow.clear("one_row_deferred", run_id, keep_state=True)

    assert airflow.wait_for_run("one_row_deferred", run_id) == "success"
    assert airflow.xcom("one_row_deferred", run_id, "enrich")["run_id"] == run["run_id"]
    (entry,) = airflow.call("GET", store)["task_state_store"]
    assert (entry["key"], entry["value"]["phase"]) == ("bitscale_run", "collected")
    assert paid(bitscale) == 1


def test_a_retry_with_changed_inputs_submits_again(airflow: LocalAirflow, bitscale: Emulator) -> None:
    bitscale.control.add_fault("run_never_ends", times=1)

    succeed(airflow, "one_row_changing", name="Edsger")

    names = [next(iter(run["inputs"].values())) for run in bitscale.control.state()["runs"]]
    assert names == ["Edsger 1", "Edsger 2"]


def test_a_batch_at_its_execution_timeout_leaves_what_was_paid_for_to_a_retry(
    airflow: LocalAirflow, bitscale: Emulator, metrics: socket
) -> None:
    datagrams(metrics)
    bitscale.control.add_fault("run_never_ends")
    run_id = airflow.trigger("batch_out_of_time")
    airflow.wait_until(
        lambda: any(
            task["state"] == "up_for_retry" or task["try_number"] > 1
            for task in airflow.task_instances("batch_out_of_time", run_id)
        ),
        "the end of the first try",
    )
    assert "AirflowTaskTimeout" in airflow.task_log("batch_out_of_time", run_id, "enrich", 1)

    collect_what_goes_on(airflow, bitscale, "batch_out_of_time", run_id)

    sent = datagrams(metrics)
    counted = [re.match(r"airflow\.bitscale\.batch\.rows_succeeded:(\d+)\|c", each) for each in sent]
    assert sum(int(each[1]) for each in counted if each) == 40
    assert any(re.match(r"airflow\.bitscale\.batch\.in_flight:0\|g", each) for each in sent), sent


def test_a_batch_that_is_failed_by_hand_submits_no_more_and_goes_on_when_cleared(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    bitscale.control.add_fault("run_never_ends")
    run_id = airflow.trigger("batch_failed_by_hand")
    airflow.wait_until(lambda: paid(bitscale) == 10, "as many runs as there may be")
    path = f"/dags/batch_failed_by_hand/dagRuns/{run_id}/taskInstances/enrich"
    airflow.call("PATCH", path, json={"new_state": "failed"})
    airflow.wait_until(
        lambda: "Killed. " in airflow.task_log("batch_failed_by_hand", run_id, "enrich"),
        lambda: f"on_kill in {airflow.task_log('batch_failed_by_hand', run_id, 'enrich')}",
    )
    assert airflow.wait_for_run("batch_failed_by_hand", run_id) == "failed"
    finish_runs(bitscale)
    airflow.wait_until(lambda: not airflow.task_process_ids(), "the end of the task's process")
    assert paid(bitscale) == 10

    airflow.clear("batch_failed_by_hand", run_id, keep_state=True)

    collect_what_goes_on(airflow, bitscale, "batch_failed_by_hand", run_id)


def finish_runs(bitscale: Emulator) -> None:
    for run in bitscale.control.state()["runs"]:
        if run["status"] == "running":
            bitscale.control.finish_run(run["run_id"])


def collect_what_goes_on(airflow: LocalAirflow, bitscale: Emulator, dag_id: str, run_id: str) -> None:
    """Let the ten runs that are under way end: then the batch ends, too, and has paid for each row once."""
    assert paid(bitscale) == 10
    bitscale.control.clear_faults()
    finish_runs(bitscale)
    assert airflow.wait_for_run(dag_id, run_id) == "success"
    assert airflow.xcom(dag_id, run_id, "enrich")["counts"]["succeeded"] == 40
    names = Counter(run["inputs"][FULL_NAME] for run in bitscale.control.state()["runs"])
    assert len(names) == 40
    assert set(names.values()) == {1}


def datagrams(metrics: socket) -> list[str]:
    """All that has come until now."""
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(metrics.recv(65_536).decode())
    return found


def test_useless_polls_of_all_kinds_neither_fail_the_task_nor_make_it_spin(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    bitscale.control.add_fault("run_never_ends")
    dag_ids = ("one_row_deferred", "one_row_waiting")
    runs = {dag_id: airflow.trigger(dag_id, {"name": "Katherine"}) for dag_id in dag_ids}
    airflow.wait_until(lambda: paid(bitscale) == 2, "both submissions")

    seconds = 4
    outage: tuple[tuple[str, dict[str, Any]], ...] = (
        ("status", {"status": 500}),
        ("status", {"status": 502, "body": "<html><h1>Bad Gateway</h1></html>"}),
        ("storm", {"retry_after": 2}),
        ("empty", {}),
        ("half_json", {}),
        ("array", {}),
    )
    for kind, fields in outage:
        bitscale.control.clear_faults()
        bitscale.control.add_fault(kind, on="get_run", **fields)
        before = len(polls(bitscale))
        time.sleep(seconds)
        # Two tasks, one poll a second, shortened by a tenth at most; and one that was just due for each.
        assert 2 <= len(polls(bitscale)) - before <= 2 * (seconds / 0.9 + 1), kind
        assert [airflow.run_state(dag_id, run_id) for dag_id, run_id in runs.items()] == ["running"] * 2
    bitscale.control.clear_faults()
    finish_runs(bitscale)

    for dag_id, run_id in runs.items():
        assert airflow.wait_for_run(dag_id, run_id) == "success"
        assert airflow.task_instances(dag_id, run_id)[0]["try_number"] == 1
    assert paid(bitscale) == 2


def test_every_example_runs(airflow: LocalAirflow, bitscale: Emulator) -> None:
    dag_ids = {path.stem for path in EXAMPLE_DAGS.glob("bitscale_*.py")}
    airflow.wait_for_dags(dag_ids)
    runs = {dag_id: airflow.trigger(dag_id) for dag_id in sorted(dag_ids)}

    states = {dag_id: airflow.wait_for_run(dag_id, run_id) for dag_id, run_id in runs.items()}

    assert states == dict.fromkeys(runs, "success")
    with (airflow.home.parent / "enriched_leads.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert all(row["Enriched Email"] for row in rows)
    assert all(row["Credits"] for row in rows)
    assert rows[-1]["Full Name"] == "{{ ds }} Smith"
    found = airflow.xcom("bitscale_enrich_with_webhook", runs["bitscale_enrich_with_webhook"], "emails")
    assert len(found) == 8
    assert all(found.values())
    dag_run = runs["bitscale_one_row"]
    link = airflow.call("GET", f"/dags/bitscale_one_row/dagRuns/{dag_run}/taskInstances/enrich/links")
    assert link["extra_links"] == {
        "BitScale grid": "https://app.bitscale.ai/grid/grid_001",
        "BitScale result": f"/dags/bitscale_one_row/runs/{quote(dag_run)}/tasks/enrich/xcom",
    }


def test_the_key_is_in_no_log_no_database_and_no_file(airflow: LocalAirflow, bitscale: Emulator) -> None:
    """Comes last, so that it reads what all the tests before it have left."""
    echo = {"status": 400, "code": "MISSING_REQUIRED_FIELD", "message": f"key {bitscale.api_key} says no"}
    bitscale.control.add_fault("status", on="run_grid", **echo)
    run_id = airflow.trigger("one_row_deferred", {"name": "Barbara"})
    assert airflow.wait_for_run("one_row_deferred", run_id) == "failed"
    assert "says no" in airflow.task_log("one_row_deferred", run_id, "enrich")

    key = bitscale.api_key.encode()
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if key in path.read_bytes()] == []

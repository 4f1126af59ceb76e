"""Promise: tasks keep to the limit of their workspace together, on one machine and on many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.support.local_airflow import CELERY_WORKERS, LocalAirflow
from tests.support.postgres import Postgres
from tests.system.conftest import StartAirflow
from tests.system.dags.shared_limit import NAMES

DAGS = Path(__file__).parent / "dags"
DAG_ID = "shared_limit"
# So many tasks at once make all of Airflow slow on a small machine, and that fails none of them.
PATIENT = {
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
}
WITHOUT_TRIGGERER = ("api-server", "scheduler", "dag-processor")


@pytest.fixture
def bitscale() -> Iterator[Emulator]:
    """BitScale as it is served today: five requests a second for the workspace, and no header tells of it."""
    with Emulator(contract="workspace-key", rate_limit=(5, 1.0), run_seconds=(2.0, 5.0)) as emulator:
        yield emulator


def test_tasks_of_one_machine_share_the_limit_with_nothing_set_up(
    start_airflow: StartAirflow, bitscale: Emulator, postgres: Postgres
) -> None:
    airflow = start_airflow(
        DAGS,
        env={**PATIENT, "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json()},
        components=WITHOUT_TRIGGERER,
        # SQLite does not bear so many tasks at once.
        database_url=postgres.new_database(),
        parallelism=len(NAMES),
    )
    all_rows_are_paid_once_and_hardly_a_request_is_refused(airflow, bitscale)
    assert "is shared by the processes of this user" in a_log(airflow)
    assert files_with(bitscale.api_key, airflow.home) == []


def test_workers_on_machines_of_their_own_share_the_limit_by_redis(
    start_airflow: StartAirflow, bitscale: Emulator, celery: dict[str, str]
) -> None:
    redis = urlsplit(celery["broker_url"])._replace(path="/1")
    airflow = start_airflow(
        DAGS,
        env={
            **PATIENT,
            "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
            "AIRFLOW__BITSCALE__SHARED_STATE_URL": redis.geturl(),
        },
        components=(*WITHOUT_TRIGGERER, *CELERY_WORKERS),
        parallelism=len(NAMES),
        worker_concurrency=8,
        apart=True,
        **celery,
    )
    all_rows_are_paid_once_and_hardly_a_request_is_refused(airflow, bitscale)
    assert "is shared by all who use database 1 of Redis" in a_log(airflow)
    assert files_with(str(redis.password), airflow.home) == []


def all_rows_are_paid_once_and_hardly_a_request_is_refused(airflow: LocalAirflow, bitscale: Emulator) -> None:
    airflow.wait_for_dags({DAG_ID})
    run_id = airflow.trigger(DAG_ID)
    assert airflow.wait_for_run(DAG_ID, run_id) == "success"
    runs = bitscale.control.state()["runs"]
    assert Counter(run["inputs"][FULL_NAME] for run in runs) == dict.fromkeys(NAMES, 1)
    refused, requests = bitscale.control.state()["rate_limited"], len(bitscale.control.requests())
    # On a quiet machine none; on a busy one a request may come late, into the second of the next ones. Each
    # process by itself has nearly half of its requests refused.
    assert refused <= requests / 20, f"{refused} of {requests} requests were answered 429"
    assert {task["try_number"] for task in airflow.task_instances(DAG_ID, run_id)} == {1}


def a_log(airflow: LocalAirflow) -> str:
    """The log of one of the tasks."""
    [run] = airflow.call("GET", f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
    return airflow.task_log(DAG_ID, run["dag_run_id"], "enrich", map_index=0)


def files_with(secret: str, folder: Path) -> list[Path]:
    """The files that Airflow has written a secret to."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if secret.encode() in path.read_bytes()]

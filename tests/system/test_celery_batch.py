"""Promise: chunks of a batch run on many machines, and one that dies costs no row a second run."""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_bitscale.batch.row_result import SUCCEEDED, UNKNOWN
from airflow_provider_bitscale.batch.table.writers import STATUS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.support.local_airflow import CELERY_WORKERS
from tests.system.conftest import StartAirflow
from tests.system.dags.batch import CHUNKS

DAGS = Path(__file__).parent / "dags"
CHUNK_OF = {row["name"]: index for index, rows in enumerate(CHUNKS) for row in rows}


@pytest.mark.skipif(
    version("apache-airflow") == "3.4.0b2",
    reason="the scheduler of Airflow 3.4.0b2 ends where it fails a task that has missed its heartbeats",
)
def test_a_worker_that_dies_amid_its_chunks_costs_no_row_a_second_run(
    start_airflow: StartAirflow, celery: dict[str, str], tmp_path: Path
) -> None:
    with Emulator(run_seconds=(1.0, 2.0), rate_limit=(40, 1.0)) as bitscale:
        airflow = start_airflow(
            DAGS,
            env={
                "AIRFLOW_CONN_BITSCALE_DEFAULT": bitscale.connection_json(),
                "BATCH_OUTPUT": str(tmp_path / "output"),
                # So soon is a task missed whose worker has died.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
            },
            components=("api-server", "scheduler", "dag-processor", *CELERY_WORKERS),
            **celery,
        )
        airflow.wait_for_dags({"batch"})
        run_id = airflow.trigger("batch")

        def chunks() -> list[dict[str, Any]]:
            return [ti for ti in airflow.task_instances("batch", run_id) if ti["task_id"] == "enrich"]

        def all_are_under_way() -> bool:
            accepted = _accepted(bitscale)
            return {CHUNK_OF[name] for name in accepted} == set(range(4)) and accepted.total() >= 100

        airflow.wait_until(
            all_are_under_way, lambda: f"runs of every chunk, tasks {airflow.task_states('batch', run_id)}"
        )
        under_doomed = airflow.task_process_ids(CELERY_WORKERS[0])
        doomed = {chunk["map_index"] for chunk in chunks() if chunk["pid"] in under_doomed}
        airflow.stop(CELERY_WORKERS[0], kill=True)
        assert 0 < len(doomed) < len(CHUNKS)

        assert airflow.wait_for_run("batch", run_id) == "success"
        tries = {chunk["map_index"]: chunk["try_number"] for chunk in chunks()}
        assert tries == {chunk: 2 if chunk in doomed else 1 for chunk in range(4)}

        manifests = [airflow.xcom("batch", run_id, "enrich", map_index=chunk) for chunk in range(4)]
        rows = [row for manifest in manifests for row in _rows(manifest)]
        assert sorted(row["name"] for row in rows) == sorted(CHUNK_OF)
        paid = _accepted(bitscale)
        assert set(paid.values()) == {1}
        unknown = {row["name"] for row in rows if row[STATUS] == UNKNOWN}
        assert {row["name"] for row in rows if row[STATUS] == SUCCEEDED} == CHUNK_OF.keys() - unknown
        assert paid.keys() | unknown == CHUNK_OF.keys()
        assert sum(manifest["counts"][UNKNOWN] for manifest in manifests) == len(unknown) <= 60
        assert {CHUNK_OF[name] for name in unknown} <= doomed

        refused, requests = bitscale.control.state()["rate_limited"], len(bitscale.control.requests())
        assert refused < requests / 50, f"{refused} of {requests} requests were answered 429"


def _accepted(bitscale: Emulator) -> Counter[str]:
    """How many runs BitScale has accepted for each row."""
    return Counter(run["inputs"][FULL_NAME] for run in bitscale.control.state()["runs"])


def _rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [ObjectStoragePath(part).read_text() for part in manifest["parts"]]
    return [json.loads(line) for part in parts for line in part.splitlines()]

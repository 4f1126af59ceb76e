"""Batches of rows, for workers that die and tasks that are ended."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

CHUNKS = [
    [{"name": f"Lead {number} of chunk {chunk}", "company": "Acme"} for number in range(150)]
    for chunk in range(4)
]

with DAG("batch", schedule=None, catchup=False):
    RunGridBatchOperator.partial(
        task_id="enrich",
        grid_id="grid_001",
        input_fields={"Full Name": "name", "Company": "company"},
        output_path=os.environ.get("BATCH_OUTPUT"),
        run_timeout=120,
        # Rows that may or may not have been submitted are counted by the tests.
        fail_when_incomplete=False,
        retries=2,
        retry_delay=timedelta(seconds=1),
    ).expand(rows=CHUNKS)

STOPPED: dict[str, Any] = {
    "grid_id": "grid_001",
    "rows": CHUNKS[0][:40],
    "input_fields": {"Full Name": "name"},
    "max_in_flight": 10,
}

with DAG("batch_out_of_time", schedule=None, catchup=False):
    RunGridBatchOperator(
        task_id="enrich",
        execution_timeout=timedelta(seconds=10),
        retries=5,
        retry_delay=timedelta(seconds=1),
        **STOPPED,
    )

with DAG("batch_failed_by_hand", schedule=None, catchup=False):
    RunGridBatchOperator(task_id="enrich", **STOPPED)

"""Four batches of rows, for workers of which one dies."""

from __future__ import annotations

import os
from datetime import timedelta

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
        inputs={"Full Name": "name", "Company": "company"},
        output_path=os.environ.get("BATCH_OUTPUT"),
        timeout=120,
        retries=2,
        retry_delay=timedelta(seconds=1),
    ).expand(rows=CHUNKS)

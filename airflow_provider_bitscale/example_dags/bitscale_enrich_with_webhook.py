"""Many rows in one task, and one request for each: BitScale delivers what the runs have found.

The API server receives the deliveries of this connection (`[bitscale] webhook_connections`). Should one not
come, the task asks for that run after a minute. With a workspace key there are none.
"""

from __future__ import annotations

import csv
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

LEADS = Path(__file__).parent / "data" / "leads.csv"
# Where BitScale reaches your API server.
AIRFLOW = os.environ.get("BITSCALE_EXAMPLE_AIRFLOW", "https://airflow.example.com")

with DAG(
    "bitscale_enrich_with_webhook",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):

    @task
    def leads() -> list[dict[str, str]]:
        """One dict for each row; what is no input is carried along."""
        with LEADS.open(newline="") as file:
            return list(csv.DictReader(file))

    # Or each person would become an XCom.
    @task(multiple_outputs=False)
    def emails(manifest: dict[str, Any]) -> dict[str, str | None]:
        """By name, what was found."""
        return {row["name"]: row.get("Enriched Email") for row in manifest["results"]}

    enrich = RunGridBatchOperator(
        task_id="enrich",
        grid_id="grid_001",
        rows=leads(),
        input_fields={"Full Name": "name", "Company": "company"},
        webhook_url=f"{AIRFLOW}/bitscale/webhooks/bitscale_example",
        # The delivery is the result; else each run would be polled once more.
        trust_webhook=True,
        max_failed_rows="10%",
        retries=3,
        retry_delay=timedelta(seconds=10),
    )
    emails(enrich.output)

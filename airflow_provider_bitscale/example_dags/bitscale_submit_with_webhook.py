"""Submit rows and do not wait: BitScale tells Airflow when each has ended.

The API server receives the deliveries of this connection (`[bitscale] webhook_connections`), and starts
``bitscale_collect_deliveries``. Until then no worker, no triggerer and no poll is needed. If a delivery is
lost, ``bitscale_collect_undelivered`` asks for that run.
With a workspace key there are no deliveries.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

LEADS = Path(__file__).parent / "data" / "leads.csv"
# Where BitScale reaches your API server.
AIRFLOW = os.environ.get("BITSCALE_EXAMPLE_AIRFLOW", "https://airflow.example.com")

with DAG(
    "bitscale_submit_with_webhook",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):

    @task
    def leads() -> list[dict[str, str]]:
        """One dict of inputs for each row."""
        with LEADS.open(newline="") as file:
            return [{"Full Name": row["name"], "Company": row["company"]} for row in csv.DictReader(file)]

    RunGridOperator.partial(
        task_id="submit",
        grid_id="grid_001",
        webhook_url=f"{AIRFLOW}/bitscale/webhooks/bitscale_example",
        wait_for_completion=False,
        max_active_tis_per_dag=4,
        map_index_template="{{ task.inputs['Company'] }}",
        retries=3,
    ).expand(inputs=leads())

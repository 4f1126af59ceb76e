"""Asks for what ``bitscale_submit_with_webhook`` submitted and BitScale could not deliver.

It is delivered to Airflow's receiver after all, and starts ``bitscale_collect_deliveries``. Where all was
delivered, this costs no request to BitScale.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.collect_undelivered import CollectUndeliveredOperator

# Where workers reach your API server: an internal address will do.
AIRFLOW = os.environ.get("BITSCALE_EXAMPLE_AIRFLOW_INTERNAL", "https://airflow.example.com")

with DAG(
    "bitscale_collect_undelivered",
    schedule=None,  # every quarter of an hour in yours: timedelta(minutes=15), with catchup=False
    # Two at once would ask for the same runs.
    max_active_runs=1,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):
    CollectUndeliveredOperator(
        task_id="collect",
        grid_id="grid_001",
        webhook_url=f"{AIRFLOW}/bitscale/webhooks/bitscale_example",
        undelivered_for=timedelta(minutes=15),
        retries=3,
    )

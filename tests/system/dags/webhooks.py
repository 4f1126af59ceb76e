"""Runs whose end BitScale tells by webhook: not waited for, waited for, and collected by another DAG."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any, cast

from airflow.sdk import DAG, AssetAny, Context, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor
from airflow_provider_bitscale.webhooks.assets import bitscale_run_asset, deliveries_from

ROW: dict[str, Any] = {
    "grid_id": "grid_001",
    "inputs": {"Full Name": "{{ dag_run.conf['name'] }}"},
    "webhook_url": "https://airflow.example.com/bitscale/webhooks/bitscale_default",
}

with DAG("forgets", schedule=None, catchup=False):
    RunGridOperator(task_id="submit", wait_for_completion=False, **ROW)

with DAG("awaits", schedule=None, catchup=False):
    RunGridOperator(task_id="enrich", deferrable=True, timeout=300, **ROW)

with DAG("trusts", schedule=None, catchup=False):
    RunGridOperator(task_id="enrich", deferrable=True, trust_webhook=True, timeout=300, **ROW)

with DAG("senses", schedule=None, catchup=False):
    submit = RunGridOperator(task_id="submit", wait_for_completion=False, **ROW)
    receipt: Any = submit.output
    RunCompletedSensor(
        task_id="enrich",
        grid_id="grid_001",
        run_id="{{ ti.xcom_pull('submit')['run_id'] }}",
        delivery_address=receipt["delivery_address"],
        deferrable=True,
        timeout=300,
    )

BATCH: dict[str, Any] = {
    # No DAG is scheduled on it: an event for each row would keep Airflow busy.
    "grid_id": "grid_002",
    "input_fields": {"Domain": "name"},
    "webhook_url": ROW["webhook_url"],
    "output_path": os.environ.get("BATCH_OUTPUT"),
    "retries": 1,
    "retry_delay": timedelta(seconds=1),
}

LEADS = [{"name": f"Lead {number}"} for number in range(1000)]

with DAG("batch_trusts", schedule=None, catchup=False):
    RunGridBatchOperator(task_id="enrich", rows=LEADS, trust_webhook=True, **BATCH)

with DAG("batch_confirms", schedule=None, catchup=False):
    RunGridBatchOperator(task_id="enrich", rows=LEADS, **BATCH)

# Rows that were announced, and whose request never left, are ambiguous until `timeout`.
with DAG("batch_is_killed", schedule=None, catchup=False):
    RunGridBatchOperator(
        task_id="enrich",
        rows=LEADS[:400],
        run_timeout=20,
        trust_webhook=True,
        fail_when_incomplete=False,
        **BATCH,
    )

RECEIVED = [
    bitscale_run_asset("grid_001", bitscale_conn_id=conn_id)
    for conn_id in ("bitscale_default", "unread", "unreadable", "rotated", "late", "forgetful")
]

with DAG("collects", schedule=AssetAny(*RECEIVED), catchup=False):

    @task
    def collect(**context: Any) -> dict[str, str]:
        """The outputs of the runs that were delivered, by run id; as text, which every database takes."""
        deliveries = deliveries_from(cast("Context", context))
        return {each.run_id: json.dumps(each.run.outputs) for each in deliveries}

    collect()

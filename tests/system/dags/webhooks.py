"""Runs whose end BitScale tells by webhook: not waited for, waited for, and collected by another DAG."""

from __future__ import annotations

import json
from typing import Any, cast

from airflow.sdk import DAG, Context, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
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
        delivery=receipt["delivery"],
        deferrable=True,
        timeout=300,
    )

with DAG("collects", schedule=bitscale_run_asset("grid_001"), catchup=False):

    @task
    def collect(**context: Any) -> dict[str, str]:
        """The outputs of the runs that were delivered, by run id; as text, which every database takes."""
        deliveries = deliveries_from(cast("Context", context))
        return {each.run_id: json.dumps(each.run.outputs) for each in deliveries}

    collect()

"""A row for each of many tasks, all of them at once."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

NAMES = [f"Lead {number}" for number in range(32)]

with DAG("shared_limit", schedule=None, catchup=False, max_active_tasks=len(NAMES)):
    RunGridOperator.partial(
        task_id="enrich", grid_id="grid_001", poll_interval=1, deferrable=False, timeout=300
    ).expand(inputs=[{"Full Name": name} for name in NAMES])

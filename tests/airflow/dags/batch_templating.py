"""Every way in which rows reach a batch. What looks like a template inside data must arrive as it is."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

HOSTILE = "{{ ds }} {% for x in y %} {# note #} Smith"
BATCH: dict[str, Any] = {"grid_id": "{{ params.grid }}", "mode": "sync"}

with DAG("batch_templating", schedule=None, params={"grid": "grid_001", "name": "Jane Doe"}):

    @task
    def rows() -> list[dict[str, str]]:
        return [{"Full Name": f"{HOSTILE} {number}"} for number in range(2)]

    @task
    def chunks() -> list[list[dict[str, str]]]:
        return [[{"Full Name": f"{HOSTILE} {number}"}] for number in range(2)]

    RunGridBatchOperator(task_id="from_xcom", **BATCH, rows=rows())  # type: ignore[arg-type]
    RunGridBatchOperator.partial(task_id="mapped", **BATCH).expand(rows=chunks())
    RunGridBatchOperator(task_id="from_params", **BATCH, rows=[{"Full Name": "{{ params.name }}"}])

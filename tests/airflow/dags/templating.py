"""Every way in which data reaches a run. What looks like a template inside data must arrive as it is."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

HOSTILE = "{{ ds }} {% for x in y %} {# note #} Smith"
FAST: dict[str, Any] = {"grid_id": "grid_001", "deferrable": False, "poll_interval": 0.1}

with DAG(
    "templating",
    schedule=None,
    params={"grid": "grid_001", "name": "Jane Doe", "conn": "bitscale_in_database", "hostile": HOSTILE},
):

    @task
    def name() -> str:
        return HOSTILE

    @task
    def row() -> dict[str, str]:
        return {"Full Name": HOSTILE, "Company": "{{ params.name }}"}

    @task
    def rows() -> list[dict[str, str]]:
        return [{"Full Name": f"{HOSTILE} {number}"} for number in range(2)]

    @task
    def columns() -> list[str]:
        return ["Label"]

    some_name = name()
    from_param = {"Full Name": "{{ params.name }}", "Company": "{{ params.hostile }}"}

    RunGridOperator(task_id="from_params", **{**FAST, "grid_id": "{{ params.grid }}"}, inputs=from_param)
    RunGridOperator(task_id="from_xcom_arg", **FAST, inputs=row())  # type: ignore[arg-type]
    RunGridOperator(task_id="nested", **FAST, inputs={"Full Name": some_name, "Company": "{{ params.name }}"})
    some_name >> RunGridOperator(
        task_id="pulled", **FAST, inputs={"Full Name": "{{ ti.xcom_pull(task_ids='name') }}"}
    )
    RunGridOperator.partial(task_id="mapped", **FAST).expand(inputs=rows())
    RunGridOperator(
        task_id="columns_and_connection",
        **FAST,
        inputs={"Full Name": "Jane Doe"},
        output_columns=columns(),  # type: ignore[arg-type]
        bitscale_conn_id="{{ params.conn }}",
    )
    RunGridOperator(
        task_id="deferred_with_a_connection_in_the_database",
        **{**FAST, "deferrable": True},
        inputs={"Full Name": some_name},
        bitscale_conn_id="{{ params.conn }}",
    )

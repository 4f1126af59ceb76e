"""Submit now, collect later: the run's id goes from one task to another, and a sensor waits for it."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.sensors.run_completed import RunCompletedSensor

with DAG(
    "bitscale_submit_then_collect",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):
    submit = RunGridOperator(
        task_id="submit",
        grid_id="grid_001",
        inputs={"Full Name": "Alan Turing", "Company": "Bletchley Labs"},
        wait_for_completion=False,
        retries=2,
    )
    collect = RunCompletedSensor(
        task_id="collect",
        grid_id="grid_001",
        run_id="{{ ti.xcom_pull(task_ids='submit')['run_id'] }}",
        deferrable=True,
        poke_interval=2,
        timeout=600,
        retries=2,
    )
    submit >> collect

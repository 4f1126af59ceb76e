"""Tasks that fail once: what their retry does with the run that was paid for."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

with DAG("retries", schedule=None):
    enrich = RunGridOperator.partial(
        task_id="enrich",
        grid_id="grid_001",
        deferrable=False,
        poll_interval=0.1,
        timeout=0.5,
        retries=1,
        retry_delay=timedelta(0),
    ).expand(inputs=[{"Full Name": "Jane Doe"}])

    @task
    def outputs(results: list[dict]) -> list[str]:  # type: ignore[type-arg]
        return [result["outputs"]["Label"] for result in results]

    outputs(enrich.output)  # type: ignore[arg-type]

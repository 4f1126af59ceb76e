"""One row, without holding a worker: the triggerer waits for the run."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

with DAG(
    "bitscale_one_row_deferrable",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
    params={"name": Param("Grace Hopper", type="string"), "company": Param("Compiler Works", type="string")},
):
    enrich = RunGridOperator(
        task_id="enrich",
        grid_id="grid_001",
        inputs={"Full Name": "{{ params.name }}", "Company": "{{ params.company }}"},
        output_columns=["Enriched Email", "LinkedIn URL"],
        min_credits=50,  # refuse to start a run with less
        deferrable=True,
        poll_interval=2,
        retries=2,
    )

    @task
    def report(result: dict[str, Any]) -> str:
        """Use what was found."""
        return f"{result['outputs']['Enriched Email']}, found by {result['run_id']}"

    report(enrich.output)

"""One row: the worker waits for the run."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

with DAG(
    "bitscale_one_row",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):
    RunGridOperator(
        task_id="enrich",
        grid_id="grid_001",
        inputs={"Full Name": "Ada Lovelace", "Company": "Analytical Engines"},
        output_columns=["Enriched Email"],
        deferrable=False,
        poll_interval=2,
        retries=2,  # a retry goes on with the run that was paid for
    )

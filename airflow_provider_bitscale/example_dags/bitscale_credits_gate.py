"""A gate: nothing is submitted until there are credits, and without any in time the rest is skipped."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.sensors.credits import CreditsSensor

with DAG(
    "bitscale_credits_gate",
    schedule=None,
    default_args={"bitscale_conn_id": "bitscale_example"},
    tags=["bitscale"],
    doc_md=__doc__,
):
    gate = CreditsSensor(
        task_id="enough_credits",
        min_credits=1_000,
        mode="reschedule",
        poke_interval=60,
        timeout=3_600,
        soft_fail=True,
        deferrable=False,
    )
    enrich = RunGridOperator(
        task_id="enrich",
        grid_id="grid_001",
        inputs={"Full Name": "Katherine Johnson"},
        min_credits=1_000,  # checked once more, right before the run is paid for
        deferrable=True,
        poll_interval=2,
        retries=2,
    )
    gate >> enrich

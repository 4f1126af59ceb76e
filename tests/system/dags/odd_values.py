"""Rows named by the run's conf that wait in the triggerer side by side, on two connections."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

ROW: dict[str, Any] = {"grid_id": "grid_001", "deferrable": True, "poll_interval": 1, "timeout": 180}

with DAG("odd_values", schedule=None, catchup=False):
    RunGridOperator(task_id="odd_outputs", inputs={"Full Name": "odd outputs"}, **ROW)
    RunGridOperator(task_id="odd_reason", inputs={"Full Name": "odd reason"}, **ROW)
    RunGridOperator(
        task_id="neighbour",
        inputs={"Full Name": "neighbour"},
        bitscale_conn_id="bitscale_neighbour",
        **ROW,
    )

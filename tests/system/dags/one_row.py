"""One row, named by the run's conf, in the ways that the promises speak of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator

NAME = "{{ dag_run.conf['name'] }}"
NEVER_ENDS_SECONDS = 40
COMMON: dict[str, Any] = {
    "task_id": "enrich",
    "grid_id": "grid_001",
    "poll_interval": 1,
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
}

with DAG("one_row_deferred", schedule=None, catchup=False):
    RunGridOperator(inputs={"Full Name": NAME}, deferrable=True, timeout=180, **COMMON)

with DAG("one_row_waiting", schedule=None, catchup=False):
    RunGridOperator(inputs={"Full Name": NAME}, deferrable=False, timeout=180, **COMMON)

with DAG("one_row_impatient", schedule=None, catchup=False):
    RunGridOperator(inputs={"Full Name": NAME}, deferrable=True, timeout=4, **COMMON)

with DAG("one_row_out_of_time", schedule=None, catchup=False):
    RunGridOperator(
        inputs={"Full Name": NAME},
        deferrable=True,
        timeout=180,
        execution_timeout=timedelta(seconds=4),
        **COMMON,
    )

with DAG("one_row_changing", schedule=None, catchup=False):
    RunGridOperator(inputs={"Full Name": NAME + " {{ ti.try_number }}"}, deferrable=True, timeout=4, **COMMON)

for dag_id, count in (("some_rows", 20), ("many_rows", 100)):
    with DAG(dag_id, schedule=None, catchup=False, max_active_tasks=200):
        RunGridOperator.partial(deferrable=True, timeout=3600, **COMMON).expand(
            inputs=[{"Full Name": f"Lead {number}"} for number in range(count)]
        )

with DAG("never_ends", schedule=None, catchup=False):
    RunGridOperator(
        inputs={"Full Name": NAME}, deferrable=True, timeout=NEVER_ENDS_SECONDS, **{**COMMON, "retries": 0}
    )

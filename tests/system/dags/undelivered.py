"""Runs that nothing waits for, whose deliveries a proxy loses, and the DAG that collects them."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.collect_undelivered import CollectUndeliveredOperator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator

with DAG("forgets_many", schedule=None, catchup=False):
    RunGridOperator.partial(
        task_id="submit",
        grid_id="{{ 'grid_001' }}",
        # The path leads to the receiver, if the proxy takes its part away; it does not.
        webhook_url="https://airflow.example.com/proxied/bitscale/webhooks/bitscale_default",
        wait_for_completion=False,
    ).expand(inputs=[{"Full Name": f"Lead {number}"} for number in range(12)])

with DAG("collects_undelivered", schedule=None, catchup=False):
    CollectUndeliveredOperator(
        task_id="collect",
        grid_id="grid_001",
        webhook_url="{{ dag_run.conf['airflow'] }}/bitscale/webhooks/bitscale_default",
        undelivered_for=timedelta(milliseconds=1),
    )

"""Runs that nothing waits for, whose deliveries a proxy loses, and the DAG that collects them."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.collect_undelivered import CollectUndeliveredOperator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator

CONN_ID = "forgetful"

with DAG("forgets_many", schedule=None, catchup=False):
    RunGridOperator.partial(
        task_id="submit",
        grid_id="{{ 'grid_001' }}",
        bitscale_conn_id=CONN_ID,
        # The path leads to the receiver, if the proxy takes its part away; it does not.
        webhook_url=f"https://airflow.example.com/proxied/bitscale/webhooks/{CONN_ID}",
        wait_for_completion=False,
    ).expand(inputs=[{"Full Name": f"Lead {number}"} for number in range(12)])

with DAG("collects_undelivered", schedule=None, catchup=False):
    CollectUndeliveredOperator(
        task_id="collect",
        grid_id="grid_001",
        bitscale_conn_id=CONN_ID,
        webhook_url=f"{{{{ dag_run.conf['airflow'] }}}}/bitscale/webhooks/{CONN_ID}",
        undelivered_for=timedelta(milliseconds=1),
    )

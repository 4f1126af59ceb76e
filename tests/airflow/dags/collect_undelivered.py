"""Collects at once what an example submitted and was not delivered."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.collect_undelivered import CollectUndeliveredOperator

with DAG("collect_undelivered", schedule=None):
    CollectUndeliveredOperator(
        task_id="collect",
        grid_id="grid_001",
        webhook_url="{{ dag_run.conf['airflow'] }}/bitscale/webhooks/bitscale_example",
        bitscale_conn_id="bitscale_example",
        undelivered_for=0.001,
    )

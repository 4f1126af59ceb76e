"""How a batch begins and is forgotten: what is kept of it between tries, seen from a task's context."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_bitscale.batch.store.head import Head, continues, read_head, write_head
from airflow_provider_bitscale.batch.store.sent_log import SentLogs
from airflow_provider_bitscale.batch.store.taking_over import forget
from airflow_provider_bitscale.batch.store.unsaved import Unsaved
from airflow_provider_bitscale.batch.table.writers import Output
from airflow_provider_bitscale.operators.store_path import stored
from airflow_provider_bitscale.operators.task_state import store_of, try_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
    from airflow_provider_bitscale.runs.clearing import Try
    from airflow_provider_bitscale.runs.run_record import Store


def take_up(
    store: Store,
    operator: RunGridBatchOperator,
    fingerprint: str,
    this_try: Try,
    started: float,
    delivery_conn_id: str | None,
    output_names: list[str],
) -> tuple[Head, bool]:
    """The batch to run, and whether it is that of an earlier try.

    :param fingerprint: of the input, the grid and all that changes what is bought.
    :param started: when the try did, in Unix seconds.
    :param delivery_conn_id: the connection that deliveries have to be signed with; None if none are expected.
    :param output_names: those that the grid has now.
    :raises BitScaleError: what earlier tries left cannot be gone on with.
    """
    head = read_head(store)
    if head is not None and continues(head, fingerprint, this_try):
        return replace(head, last_try=this_try, delivery_conn_id=delivery_conn_id), True
    stamp = datetime.fromtimestamp(started, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    head = Head(
        batch_id=f"{stamp}-{secrets.token_hex(3)}",
        fingerprint=fingerprint,
        last_try=this_try,
        started_at=started,
        output_path=None if operator.output_path is None else str(stored(operator.output_path)),
        output_format=operator.output_format,
        opened=0,
        tries=[],
        delivery_conn_id=delivery_conn_id,
        output_names=output_names,
        escapes_formulas=operator.csv_escape_formulas,
    )
    return head, False


def remember_batch(context: Context) -> None:
    """Called by Airflow when the task has succeeded: clearing it from now on runs it anew."""
    store = store_of(context)
    head = read_head(store)
    if head is None:
        return
    write_head(store, replace(head, collected=True, last_try=try_of(context)))
    output = None
    if head.output_path is not None:
        output = Output(stored(head.output_path), head.output_format, head.batch_id)
    forget(head, SentLogs(head.batch_id), Unsaved(head.batch_id, output, 0))

"""How a batch begins and is forgotten: what is kept of it between tries, seen from a task's context."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_bitscale.batch.store.batch_record import BatchRecord, continues, read_batch, write_batch
from airflow_provider_bitscale.batch.store.sent_log import SentLogs
from airflow_provider_bitscale.batch.store.takeover import forget
from airflow_provider_bitscale.batch.store.unsaved_changes import UnsavedChanges
from airflow_provider_bitscale.batch.table.writers import Output
from airflow_provider_bitscale.operators.store_path import stored
from airflow_provider_bitscale.operators.task_state import store_of, try_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.batch.options import BatchOptions
    from airflow_provider_bitscale.runs.resume import Try
    from airflow_provider_bitscale.runs.state_store import Store


def take_up(
    store: Store,
    options: BatchOptions,
    fingerprint: str,
    this_try: Try,
    started: float,
    delivery_conn_id: str | None,
    output_names: list[str],
) -> tuple[BatchRecord, bool]:
    """Return the batch to run, and whether it is that of an earlier try.

    :param fingerprint: of the input, the grid and all that changes what is bought.
    :param started: when the try did, in Unix seconds.
    :param delivery_conn_id: the connection that deliveries have to be signed with; None if none are expected.
    :param output_names: those that the grid has now.
    :raises BitScaleError: what earlier tries left cannot be gone on with.
    """
    batch = read_batch(store)
    if batch is not None and continues(batch, fingerprint, this_try):
        return replace(batch, last_try=this_try, delivery_conn_id=delivery_conn_id), True
    stamp = datetime.fromtimestamp(started, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    batch = BatchRecord(
        batch_id=f"{stamp}-{secrets.token_hex(3)}",
        fingerprint=fingerprint,
        last_try=this_try,
        started_at=started,
        output_path=None if options.output_path is None else str(stored(options.output_path)),
        output_format=options.output_format,
        opened=0,
        tries=[],
        delivery_conn_id=delivery_conn_id,
        output_names=output_names,
        escapes_formulas=options.csv_escape_formulas,
    )
    return batch, False


def remember_batch(context: Context) -> None:
    """Record a success, as Airflow's callback: clearing the task from now on runs it again."""
    store = store_of(context)
    batch = read_batch(store)
    if batch is None:
        return
    write_batch(store, replace(batch, collected=True, last_try=try_of(context)))
    output = None
    if batch.output_path is not None:
        output = Output(stored(batch.output_path), batch.output_format, batch.batch_id)
    forget(batch, SentLogs(batch.batch_id), UnsavedChanges(batch.batch_id, output, 0))

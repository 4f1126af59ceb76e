"""Pure: whether a task waits for a delivery, by the records in its state store.

The secret of one connection can sign a token for any task. Only the task itself records which connection it
used, and under which key it waits.
"""

from __future__ import annotations

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError
from airflow_provider_bitscale.batch.store.batch_record import read_batch
from airflow_provider_bitscale.runs.run_record import RunRecords
from airflow_provider_bitscale.runs.state_store import Store
from airflow_provider_bitscale.webhooks.callback_token import Claims, queue_key
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS


def awaits(store: Store, claims: Claims, run_id: str) -> str:
    """Return what becomes of a delivery for a task, by the state store of the task.

    :return: ``accepted``: the task waits for it; ``duplicate``: the task has it; ``no_subscribers``: the task
        waits for none, for one of another connection, or for another run.
    """
    try:
        return _batch(store, claims) if claims.row is not None else _run(store, claims, run_id)
    except AmbiguousSubmitError:
        # The task cannot read its record either.
        return NO_SUBSCRIBERS


def _batch(store: Store, claims: Claims) -> str:
    batch, address = read_batch(store), claims.address
    if batch is None or batch.collected:
        return NO_SUBSCRIBERS
    wanted = queue_key(batch.batch_id), batch.delivery_conn_id
    # The batch itself checks which run a row waits for.
    return ACCEPTED if wanted == (address.key, address.bitscale_conn_id) else NO_SUBSCRIBERS


def _run(store: Store, claims: Claims, run_id: str) -> str:
    record, address = RunRecords(store).read(), claims.address
    if record is None:
        return NO_SUBSCRIBERS
    if (record.delivery_key, record.delivery_conn_id) != (address.key, address.bitscale_conn_id):
        return NO_SUBSCRIBERS
    delivered = store.get(address.key)
    known = record.run_id or (delivered and delivered["run_id"])
    if known not in (None, run_id):
        return NO_SUBSCRIBERS
    return DUPLICATE if delivered else ACCEPTED

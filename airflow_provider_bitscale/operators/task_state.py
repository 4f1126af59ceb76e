"""Where the record of a run lives: Airflow's task state store, seen from a task's context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]

from airflow_provider_bitscale.runs.ledger import Ledger, Store
from airflow_provider_bitscale.webhooks.addressee import Addressee

if TYPE_CHECKING:
    from airflow.sdk import Context


def ledger_of(context: Context) -> Ledger:
    """The ledger of the task instance that runs."""
    return Ledger(store_of(context))


def store_of(context: Context) -> Store:
    """The store of the task instance that runs; what is in it stays as long as the DAG run does."""
    return _LastingStore(context["task_state_store"])


def generation_of(context: Context) -> int:
    """A number that a person's Clear raises and a retry does not."""
    return context["ti"].max_tries


def addressee_of(context: Context, key: str) -> Addressee:
    """The task instance that runs, as the one a webhook delivery is for."""
    ti = context["ti"]
    return Addressee(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index, key)


def remember_success(context: Context) -> None:
    """Called by Airflow when a task of ours has succeeded: clearing it from now on runs it anew."""
    ledger_of(context).collected(generation_of(context))


class _LastingStore:
    """The task state store, with values that stay as long as the DAG run does."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        return self._store.get(key)

    def set(self, key: str, value: Any) -> None:
        self._store.set(key, value, retention=NEVER_EXPIRE)

    def delete(self, key: str) -> None:
        self._store.delete(key)

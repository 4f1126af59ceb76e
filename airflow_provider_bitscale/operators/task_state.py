"""What a task's context tells: its state store, its try, and the address of its deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_bitscale.runs.resume import Try
from airflow_provider_bitscale.runs.run_record import RunRecords
from airflow_provider_bitscale.runs.state_store import OwnerChangedError, Store
from airflow_provider_bitscale.webhooks.callback_token import DeliveryAddress

if TYPE_CHECKING:
    from airflow.sdk import Context


def store_of(context: Context) -> Store:
    """Return the store of the task instance that runs; what is in it stays as long as the DAG run does."""
    return _LastingStore(context["task_state_store"])


def try_of(context: Context) -> Try:
    """Return the try that runs, as far as a Clear shows in it."""
    ti = context["ti"]
    return Try(
        max_tries=ti.max_tries,
        # Not every stand-in for Airflow's task runner has the rest.
        number=getattr(ti, "try_number", None),
        retries=getattr(context.get("task"), "retries", None),
        clear_number=getattr(context.get("dag_run"), "clear_number", None),
    )


def address_of(context: Context, key: str, conn_id: str) -> DeliveryAddress:
    """Return the task instance that runs, as the one a webhook delivery is for.

    :param conn_id: of the connection that the delivery has to be signed with.
    """
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return DeliveryAddress(ti.dag_id, ti.run_id, ti.task_id, map_index, key, conn_id)


def remember_success(context: Context) -> None:
    """Record a success, as Airflow's callback: clearing the task from now on runs it again."""
    RunRecords(store_of(context)).collected(try_of(context))


class _LastingStore:
    """The task state store, with values that stay as long as the DAG run does."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        return self._store.get(key)

    def set(self, key: str, value: Any) -> None:
        with _ownership_told():
            self._store.set(key, value, retention=NEVER_EXPIRE)

    def delete(self, key: str) -> None:
        with _ownership_told():
            self._store.delete(key)


@contextmanager
def _ownership_told() -> Iterator[None]:
    """Tell a store that is closed to this try from one that fails.

    Airflow gives a task instance a new id for each retry and Clear, and its execution API finds no task for
    an id of the past: so a write that succeeds proves that no later try has begun.
    """
    try:
        yield
    except AirflowRuntimeError as problem:
        if is_of_the_past(problem.error.detail or {}):
            raise OwnerChangedError("the task was cleared, or another try of it has begun") from problem
        raise


def is_of_the_past(detail: dict[str, Any]) -> bool:
    """Whether an error of the execution API says that the task instance of this try is gone.

    :param detail: as Airflow's supervisor tells it: ``status_code``, and the answer's body as ``detail``.
    """
    body = detail.get("detail")
    reason = body.get("detail") if isinstance(body, dict) else None
    # A 404 of something between has no such reason.
    told = isinstance(reason, dict) and reason.get("reason") == "not_found"
    return detail.get("status_code") == 404 and told

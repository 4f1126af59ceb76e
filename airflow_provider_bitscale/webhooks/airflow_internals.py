"""Everything in Airflow that the receiver uses and that is not public, each with the reason.

The receiver runs in the API server, which has the database. Airflow's REST API would need a user's login, and
its execution API the token of a running task. What a later Airflow lacks fails where it is used, and the
delivery is answered as an internal fault: tasks go on with polls. Known to work: 3.3.0, 3.3.2 and 3.4.0b2
(`make test-next` tries the next).

Two faults of 3.4.0b2 cannot be repaired here. A Clear discards the state store of a task, and with it the ids
of paid runs, unless it is asked to keep it (`keep_task_state` of the REST API). And the scheduler stops with
a UniqueViolation when it fails a task that has missed its heartbeats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetAliasModel, AssetDagRunQueue
from airflow.models.asset import AssetModel as AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel as AssetStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.state import TaskScope, get_state_backend
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import get_dialect_name
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias
    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.webhooks.callback_token import DeliveryAddress

LOCK_SECONDS = 3

T = TypeVar("T")


def in_a_transaction(work: Callable[[Session], T]) -> T:
    """Do the work in a transaction of its own, and again if another one wrote the same at that moment.

    An event and its mark, or a run's outputs and its id, are stored together or not at all.

    :raises sqlalchemy.exc.SQLAlchemyError: the database fails.
    """
    try:
        return _once(work)
    except IntegrityError:
        # This time it finds what the other one wrote.
        return _once(work)


def check_connections_can_be_read() -> None:
    """Check that the database can be read: Airflow reports a connection as missing also if it cannot.

    :raises sqlalchemy.exc.SQLAlchemyError: it cannot be read.
    """
    _once(lambda session: session.scalar(text("SELECT 1 FROM connection LIMIT 1")))


def _once(work: Callable[[Session], T]) -> T:
    with create_session(scoped=False) as session:
        dialect = get_dialect_name(session)
        if dialect == "sqlite":
            # It has no row locks: two transactions could read the same before either writes.
            session.execute(text("BEGIN IMMEDIATE"))
        elif dialect == "postgresql":
            # One long transaction elsewhere must not hold up all deliveries.
            session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        return work(session)


def task_instances(session: Session, address: DeliveryAddress) -> list[TaskInstanceStore]:
    """Return the stores of the task instances at an address, locked; mostly one.

    From 3.4 on a mapped task, or one in a loop, has a region, and several may have the same address.
    """
    # While the first statement waits for a lock, the task may get a row for its next try (from 3.4 on: a new
    # one), which only the second statement sees.
    return _locked(session, address) or _locked(session, address)


def _locked(session: Session, address: DeliveryAddress) -> list[TaskInstanceStore]:
    region = [TaskInstance.region_id] if hasattr(TaskInstance, "region_id") else []
    names = {
        "dag_id": address.dag_id,
        "run_id": address.dag_run_id,
        "task_id": address.task_id,
        "map_index": address.map_index,
    }
    # Other writers for the same task instance wait for this one.
    found = select(TaskInstance.id, *region).filter_by(**names).with_for_update(key_share=True)
    return [
        TaskInstanceStore(session, names, {"region_id": row.region_id} if region else {})
        for row in session.execute(found)
    ]


class TaskInstanceStore:
    """The state store and the XComs of a task instance, within a transaction.

    A trigger can read XComs, but no state store. XComs are written as the execution API does it.
    """

    def __init__(self, session: Session, names: Mapping[str, Any], region: Mapping[str, Any]) -> None:
        self._session = session
        self._coordinates = {**names, **region}
        self._scope = TaskScope(**self._coordinates)

    def get(self, key: str) -> Any:
        """Return a value of the state store, or None."""
        stored = get_state_backend().get(self._scope, key, session=self._session)
        return None if stored is None else json.loads(stored)

    def set(self, key: str, value: Any) -> None:
        """Store a value in the state store."""
        get_state_backend().set(self._scope, key, json.dumps(value), session=self._session)

    def delete(self, key: str) -> None:
        """Delete a value of the state store."""
        get_state_backend().delete(self._scope, key, session=self._session)

    def push(self, key: str, value: str) -> None:
        """Store an XCom."""
        XComModel.set(key, value, **self._coordinates, serialize=False, session=self._session)


def create_asset(session: Session, asset: Asset, alias: AssetAlias) -> None:
    """Create an asset that is an outlet of tasks by this alias, which Airflow does at its first event.

    If two tasks succeed at that moment, Airflow creates it twice: the database refuses the second one, and
    that task fails, also if it has paid for a run.
    """
    known = session.scalar(select(AssetModel).filter_by(name=asset.name, uri=asset.uri))
    if known is None:
        known = AssetModel(name=asset.name, uri=asset.uri, group=asset.group, extra={})
        session.add(known)
    if alias.name not in {each.name for each in known.aliases}:
        same_name = session.scalar(select(AssetAliasModel).filter_by(name=alias.name))
        known.aliases.append(same_name or AssetAliasModel(name=alias.name, group=alias.group))


def register_event(
    session: Session, asset: AssetModel, extra: dict[str, str], notifications: list[Callable[[], None]]
) -> None:
    """Create an event of an asset, as a user's POST to Airflow's REST API would.

    :param notifications: gets the functions to call when the transaction has ended.
    """
    asset_manager.register_asset_change(
        asset=asset, extra=extra, session=session, source_is_api=True, callback_sink=notifications
    )


def include_in_queued_runs(session: Session, asset_id: int) -> None:
    """Let the queued DAG runs consume the latest event, too.

    Up to 3.3 the scheduler creates a run with the events until the moment at which the first one was queued,
    and then empties the queue: an event after that moment would wait for the next one to start a run. From
    3.4 on every event has its own entry in the queue.
    """
    if hasattr(AssetDagRunQueue, "asset_event_id"):
        return
    queued = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset_id)
    for dag_id in session.scalars(queued).all():
        this = {"asset_id": asset_id, "target_dag_id": dag_id}
        now = datetime.now(timezone.utc)
        moved = session.execute(update(AssetDagRunQueue).filter_by(**this).values(created_at=now))
        if not cast("CursorResult[Any]", moved).rowcount:
            # The scheduler has just created a run without this event.
            session.execute(insert(AssetDagRunQueue).values(**this, created_at=now))

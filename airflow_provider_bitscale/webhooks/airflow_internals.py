"""All that the receiver uses of Airflow which is not public, each with the reason.

It runs in the API server, which has the database at hand. Airflow's REST API would need the login of a user
that is stored somewhere, its execution API the token of a running task: there is neither where a delivery
comes in. What is absent in another Airflow fails where it is used, and is answered as an internal fault:
waiting goes on by polls. Known to work: 3.3.0, 3.3.2 and 3.4.0b2 (`make test-next` tries the next).

Of 3.4.0b2 two things are known that are not to be mended here. A Clear discards the state store of a task
unless it is asked to keep it (`keep_task_state` of the REST API), and with it the ids of runs that were paid
for. And the scheduler ends, with a UniqueViolation, where it fails a task that has missed its heartbeats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetAliasModel, AssetDagRunQueue, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
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

__all__ = [
    "AssetModel",
    "AssetStateStoreModel",
    "TaskInstanceStore",
    "check_connections_can_be_read",
    "in_a_transaction",
    "let_queued_runs_take",
    "make_known",
    "register_event",
    "task_instances",
]

LOCK_SECONDS = 3

T = TypeVar("T")


def in_a_transaction(work: Callable[[Session], T]) -> T:
    """Do this in a transaction of its own, and once more if somebody else wrote the same at that moment.

    What is recorded has to be recorded whole: an event and its mark, a run's outputs and its id.

    :raises sqlalchemy.exc.SQLAlchemyError: the database does not take it.
    """
    try:
        return _once(work)
    except IntegrityError:
        # What they wrote is found now.
        return _once(work)


def check_connections_can_be_read() -> None:
    """See whether the database tells its connections.

    Airflow says of a connection that it is not there as well where its database could not be asked.

    :raises sqlalchemy.exc.SQLAlchemyError: it does not.
    """
    _once(lambda session: session.scalar(text("SELECT 1 FROM connection LIMIT 1")))


def _once(work: Callable[[Session], T]) -> T:
    with create_session(scoped=False) as session:
        dialect = get_dialect_name(session)
        if dialect == "sqlite":
            # It has no locks of rows, and would let two read the same before either writes.
            session.execute(text("BEGIN IMMEDIATE"))
        elif dialect == "postgresql":
            # Whoever holds what this waits for must not hold up all deliveries.
            session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        return work(session)


def task_instances(session: Session, address: DeliveryAddress) -> list[TaskInstanceStore]:
    """The task instances of these names, locked; mostly one.

    From 3.4 on a mapped task, or one in a loop, lives in a region, and several may have the same names.
    """
    # While a statement waits for a lock, the task may get a row for its next try (from 3.4 on: another one),
    # which only a later statement sees.
    return _locked(session, address) or _locked(session, address)


def _locked(session: Session, address: DeliveryAddress) -> list[TaskInstanceStore]:
    region = [TaskInstance.region_id] if hasattr(TaskInstance, "region_id") else []
    names = {name: getattr(address, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
    # Whoever writes for the same task instance comes after this one.
    found = select(TaskInstance.id, *region).filter_by(**names).with_for_update(key_share=True)
    return [
        TaskInstanceStore(session, names, {"region_id": row.region_id} if region else {})
        for row in session.execute(found)
    ]


class TaskInstanceStore:
    """The state store of a task instance, and its XComs, as the API server has them: within a transaction.

    A trigger can read XComs, and no state store. They are written as the execution API would.
    """

    def __init__(self, session: Session, names: Mapping[str, Any], region: Mapping[str, Any]) -> None:
        self._session = session
        self._coordinates = {**names, **region}
        self._scope = TaskScope(**self._coordinates)

    def get(self, key: str) -> Any:
        """A value of the state store, or None."""
        stored = get_state_backend().get(self._scope, key, session=self._session)
        return None if stored is None else json.loads(stored)

    def set(self, key: str, value: Any) -> None:
        """Keep a value in the state store."""
        get_state_backend().set(self._scope, key, json.dumps(value), session=self._session)

    def delete(self, key: str) -> None:
        """Drop a value of the state store."""
        get_state_backend().delete(self._scope, key, session=self._session)

    def push(self, key: str, value: str) -> None:
        """Leave an XCom."""
        XComModel.set(key, value, **self._coordinates, serialize=False, session=self._session)


def make_known(session: Session, asset: Asset, alias: AssetAlias) -> None:
    """Make an asset that tasks have as an outlet by this alias, which Airflow does at the first event.

    Where two tasks succeed at that moment, it makes it twice: the database refuses the second one, and that
    task fails, whatever it has paid for.
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
    """Make an event of an asset, as a user's POST to Airflow's REST API would.

    :param notifications: to be called when the transaction has ended; they are added here.
    """
    asset_manager.register_asset_change(
        asset=asset, extra=extra, session=session, source_is_api=True, callback_sink=notifications
    )


def let_queued_runs_take(session: Session, asset_id: int) -> None:
    """Let the DAG runs that are queued consume the latest event, too.

    Up to 3.3 the scheduler makes a run of the events up to the moment at which the first of them was queued,
    and then empties the queue: an event that came in between would wait until another one starts a run.
    From 3.4 on each event has a place of its own in the queue.
    """
    if hasattr(AssetDagRunQueue, "asset_event_id"):
        return
    queued = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset_id)
    for dag_id in session.scalars(queued).all():
        this = {"asset_id": asset_id, "target_dag_id": dag_id}
        now = datetime.now(timezone.utc)
        moved = session.execute(update(AssetDagRunQueue).filter_by(**this).values(created_at=now))
        if not cast("CursorResult[Any]", moved).rowcount:
            # The scheduler was just making a run, without this event.
            session.execute(insert(AssetDagRunQueue).values(**this, created_at=now))

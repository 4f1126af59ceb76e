"""What becomes of a verified delivery, in one transaction of Airflow's database.

Runs in the API server alone. Airflow has no public way to do this within its process: that which is used of
its models stands here, and nowhere else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from airflow._shared.state import TaskScope
from airflow._shared.timezones import timezone
from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetDagRunQueue, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.state import get_state_backend
from airflow.utils.session import create_session
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from airflow_provider_bitscale.webhooks.assets import ASSETS, DELIVERY, asset_name

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery
    from airflow_provider_bitscale.webhooks.addressee import Addressee

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
NO_SUBSCRIBERS = "no_subscribers"

log = logging.getLogger(__name__)


def record(delivery: Delivery, addressee: Addressee | None) -> str:
    """Make a delivery an asset event, once for each run, and tell the task instance it is for.

    :return: ``accepted``; ``duplicate``: it was, before; ``no_subscribers``: no DAG is scheduled on it, and
        no task instance waits for it. Then nothing is kept.
    :raises sqlalchemy.exc.SQLAlchemyError: the database does not take it.
    """
    try:
        return _record(delivery, addressee)
    except IntegrityError:
        # Somebody else wrote at the same moment: what they wrote is found now.
        return _record(delivery, addressee)


def _record(delivery: Delivery, addressee: Addressee | None) -> str:
    later: list[Callable[[], None]] = []
    with create_session(scoped=False) as session:
        told = [_tell_dags(session, delivery, later), _tell_task(session, delivery, addressee)]
    for notify in later:
        try:
            notify()
        except Exception:
            log.exception("An asset listener failed")
    return next((outcome for outcome in (ACCEPTED, DUPLICATE) if outcome in told), NO_SUBSCRIBERS)


def _tell_dags(session: Session, delivery: Delivery, later: list[Callable[[], None]]) -> str:
    name = asset_name(delivery.grid_id, delivery.run.status.value)
    if session.scalar(select(AssetModel.id).where(AssetModel.name == name, AssetModel.active.has())) is None:
        return NO_SUBSCRIBERS
    # One delivery after the other: the scheduler takes events by their time, and must not take a later one
    # while an earlier one is not committed yet. All assets, for a DAG may be scheduled on several.
    ours = select(AssetModel).where(AssetModel.name.startswith(ASSETS)).order_by(AssetModel.id)
    assets = session.scalars(ours.with_for_update(key_share=True, of=AssetModel)).all()
    asset = next(each for each in assets if each.name == name)
    key = f"run_{delivery.run_id}"
    if session.get(AssetStateStoreModel, (asset.id, key)) is not None:
        return DUPLICATE
    session.add(AssetStateStoreModel(asset_id=asset.id, key=key, value="true"))
    # Of two copies that come at once, one fails here.
    session.flush()
    asset_manager.register_asset_change(
        asset=asset,
        extra={DELIVERY: _text(delivery)},
        session=session,
        source_is_api=True,
        api_user_teams=set(),
        callback_sink=later,
    )
    _queue_anew(session, asset.id)
    return ACCEPTED


def _queue_anew(session: Session, asset_id: int) -> None:
    """Let the DAG runs that are queued consume this event, too.

    The scheduler makes a run of the events up to the moment at which the first of them was queued, and then
    empties the queue: an event that came in between would wait until another one starts a run.
    """
    queued = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset_id)
    for dag_id in session.scalars(queued).all():
        this = {"asset_id": asset_id, "target_dag_id": dag_id}
        now = timezone.utcnow()
        moved = session.execute(update(AssetDagRunQueue).filter_by(**this).values(created_at=now))
        if not cast("CursorResult[Any]", moved).rowcount:
            # The scheduler was just making a run, without this event.
            session.execute(insert(AssetDagRunQueue).values(**this, created_at=now))


def _tell_task(session: Session, delivery: Delivery, addressee: Addressee | None) -> str:
    if addressee is None:
        return NO_SUBSCRIBERS
    scope = TaskScope(addressee.dag_id, addressee.run_id, addressee.task_id, addressee.map_index)
    if session.scalar(select(TaskInstance.id).filter_by(**asdict(scope))) is None:
        return NO_SUBSCRIBERS
    # A trigger can read XComs, which a new try begins without; a task its state store, which outlives tries.
    XComModel.set(addressee.key, _text(delivery), **asdict(scope), serialize=False, session=session)
    hint = json.dumps({"run_id": delivery.run_id})
    get_state_backend().set(scope, addressee.key, hint, session=session)
    return ACCEPTED


def _text(delivery: Delivery) -> str:
    """The payload as ASCII: not every database takes every character, nor every reader every object."""
    return json.dumps(dict(delivery.payload))

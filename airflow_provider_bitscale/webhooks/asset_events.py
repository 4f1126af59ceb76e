"""Makes deliveries asset events, in Airflow's database. Runs in the API server alone.

Airflow has no public way to do this within its process: that which is used of its models stands here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetDagRunQueue, AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from sqlalchemy import delete, insert, select, update

from airflow_provider_bitscale.webhooks.assets import ASSETS, DELIVERY, asset_name
from airflow_provider_bitscale.webhooks.transaction import in_a_transaction

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
NO_SUBSCRIBERS = "no_subscribers"
TOO_OLD = "too_old"

_MARK = "bitscale_run_"
# For so long after its end it is known of a run that it has been told.
REMEMBERED = timedelta(days=30)

log = logging.getLogger(__name__)


def tell_dags(deliveries: Sequence[Delivery]) -> list[str]:
    """Make each delivery an asset event, once for each run.

    :return: for each ``accepted``; ``duplicate``: it was, before; ``too_old``: it may have been;
        ``no_subscribers``: no DAG is scheduled on it, and nothing is kept.
    :raises sqlalchemy.exc.SQLAlchemyError: the database does not take them, and has kept none.
    """
    outcomes, notifications = in_a_transaction(lambda session: _tell_dags(session, deliveries))
    for notify in notifications:
        try:
            notify()
        except Exception:
            log.exception("An asset listener failed")
    return outcomes


def _tell_dags(
    session: Session, deliveries: Sequence[Delivery]
) -> tuple[list[str], list[Callable[[], None]]]:
    notifications: list[Callable[[], None]] = []
    names = [asset_name(delivery.grid_id, delivery.run.status.value) for delivery in deliveries]
    scheduled_on = select(AssetModel.name).where(AssetModel.name.in_(set(names)), AssetModel.active.has())
    active = set(session.scalars(scheduled_on))
    if not active:
        return [NO_SUBSCRIBERS] * len(names), notifications
    # One after the other: the scheduler takes events by their time, and must not take a later one while an
    # earlier one is not committed yet. All assets, for a DAG may be scheduled on several.
    ours = select(AssetModel).where(AssetModel.name.startswith(ASSETS)).order_by(AssetModel.id)
    locked = session.scalars(ours.with_for_update(key_share=True, of=AssetModel))
    assets = {asset.name: asset for asset in locked if asset.name in active}
    told = _Told(session, [asset.id for asset in assets.values()], deliveries)

    def tell(delivery: Delivery, asset: AssetModel | None) -> str:
        if asset is None:
            return NO_SUBSCRIBERS
        outcome = told.note(delivery, asset.id)
        if outcome == ACCEPTED:
            _tell(session, delivery, asset, notifications)
        return outcome

    outcomes = [tell(delivery, assets.get(name)) for delivery, name in zip(deliveries, names, strict=True)]
    for asset in assets.values():
        _queue_anew(session, asset.id)
    return outcomes, notifications


class _Told:
    """The runs that these assets have told of, as marks in their state stores.

    A mark begins with the day on which the run ended, by which old ones are found.
    """

    def __init__(self, session: Session, asset_ids: Sequence[int], deliveries: Iterable[Delivery]) -> None:
        self._session = session
        self._oldest = datetime.now(timezone.utc) - REMEMBERED
        marks = select(AssetStateStoreModel.asset_id, AssetStateStoreModel.key).where(
            AssetStateStoreModel.asset_id.in_(asset_ids),
            AssetStateStoreModel.key.in_({_mark(delivery) for delivery in deliveries}),
        )
        self._marks = {(asset_id, mark) for asset_id, mark in session.execute(marks)}
        forgotten = delete(AssetStateStoreModel).where(
            AssetStateStoreModel.asset_id.in_(asset_ids),
            AssetStateStoreModel.key.between(f"{_MARK}0", f"{_MARK}{self._oldest:%Y%m%d}"),
        )
        # Else all that is deleted would be read, and there may be much of it.
        session.execute(forgotten, execution_options={"synchronize_session": False})

    def note(self, delivery: Delivery, asset_id: int) -> str:
        """Note that this asset tells of the run now, unless it has, or may have."""
        ended = _ended(delivery)
        if ended is not None and ended < self._oldest:
            log.warning("Run %s ended too long ago to make an event of it", delivery.run_id)
            return TOO_OLD
        mark = _mark(delivery)
        if (asset_id, mark) in self._marks:
            return DUPLICATE
        self._marks.add((asset_id, mark))
        self._session.add(AssetStateStoreModel(asset_id=asset_id, key=mark, value="true"))
        return ACCEPTED


def _mark(delivery: Delivery) -> str:
    """The same for each repetition of a delivery, whose body stays the same."""
    ended = _ended(delivery)
    return f"{_MARK}{'undated' if ended is None else f'{ended:%Y%m%d}'}_{delivery.run_id}"


def _ended(delivery: Delivery) -> datetime | None:
    """When the run ended, in UTC; None if that is not told, or by a date that stands for none."""
    ended = delivery.run.completed_at
    try:
        return ended.astimezone(timezone.utc) if ended is not None and ended.year >= 2000 else None
    except OverflowError:
        return None


def _tell(
    session: Session, delivery: Delivery, asset: AssetModel, notifications: list[Callable[[], None]]
) -> None:
    asset_manager.register_asset_change(
        asset=asset,
        # As ASCII text: not every database takes every character, nor every reader every object.
        extra={DELIVERY: json.dumps(dict(delivery.payload))},
        session=session,
        source_is_api=True,
        api_user_teams=set(),
        callback_sink=notifications,
    )


def _queue_anew(session: Session, asset_id: int) -> None:
    """Let the DAG runs that are queued consume the latest event, too.

    The scheduler makes a run of the events up to the moment at which the first of them was queued, and then
    empties the queue: an event that came in between would wait until another one starts a run.
    """
    queued = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset_id)
    for dag_id in session.scalars(queued).all():
        this = {"asset_id": asset_id, "target_dag_id": dag_id}
        now = datetime.now(timezone.utc)
        moved = session.execute(update(AssetDagRunQueue).filter_by(**this).values(created_at=now))
        if not cast("CursorResult[Any]", moved).rowcount:
            # The scheduler was just making a run, without this event.
            session.execute(insert(AssetDagRunQueue).values(**this, created_at=now))

"""Makes deliveries asset events, in Airflow's database. Runs in the API server alone.

An asset is of one connection, and so are its events and its marks: whoever has the secret of one makes no
event of another's, nor passes off a true delivery as a duplicate.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import delete, select

from airflow_provider_bitscale.webhooks.airflow_internals import (
    AssetModel,
    AssetStateStoreModel,
    in_a_transaction,
    let_queued_runs_take,
    register_event,
)
from airflow_provider_bitscale.webhooks.assets import ASSETS, DELIVERY, asset_name
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS, TOO_OLD

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery

_MARK = "bitscale_run_"
# For so long after its end it is known of a run that it has been told.
REMEMBERED = timedelta(days=30)

Received: TypeAlias = "tuple[str, Delivery]"

log = logging.getLogger(__name__)


def tell_dags(received: Sequence[Received]) -> list[str]:
    """Make each delivery an asset event, once for each run.

    :param received: each with the connection that it was signed for.
    :return: the outcome of each.
    :raises sqlalchemy.exc.SQLAlchemyError: the database does not take them, and has kept none.
    """
    outcomes, notifications = in_a_transaction(lambda session: _tell_dags(session, received))
    for notify in notifications:
        try:
            notify()
        except Exception:
            log.exception("An asset listener failed")
    return outcomes


def _tell_dags(session: Session, received: Sequence[Received]) -> tuple[list[str], list[Callable[[], None]]]:
    notifications: list[Callable[[], None]] = []
    names = [asset_name(conn_id, each.grid_id, each.run.status.value) for conn_id, each in received]
    scheduled_on = select(AssetModel.name).where(AssetModel.name.in_(set(names)), AssetModel.active.has())
    active = set(session.scalars(scheduled_on))
    if not active:
        return [NO_SUBSCRIBERS] * len(names), notifications
    # One after the other: the scheduler takes events by their time, and must not take a later one while an
    # earlier one is not committed yet. All assets, for a DAG may be scheduled on several.
    ours = select(AssetModel).where(AssetModel.name.startswith(ASSETS)).order_by(AssetModel.id)
    locked = session.scalars(ours.with_for_update(key_share=True, of=AssetModel))
    assets = {asset.name: asset for asset in locked if asset.name in active}
    told = _Told(session, [asset.id for asset in assets.values()], [each for _, each in received])

    def tell(delivery: Delivery, asset: AssetModel | None) -> str:
        if asset is None:
            return NO_SUBSCRIBERS
        outcome = told.note(delivery, asset.id)
        if outcome == ACCEPTED:
            # As ASCII text: not every database takes every character, nor every reader every object.
            extra = {DELIVERY: json.dumps(dict(delivery.payload))}
            register_event(session, asset, extra, notifications)
        return outcome

    outcomes = [tell(each, assets.get(name)) for (_, each), name in zip(received, names, strict=True)]
    for asset in assets.values():
        let_queued_runs_take(session, asset.id)
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

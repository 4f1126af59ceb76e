"""Makes asset events of deliveries, in Airflow's database; API server only.

An asset belongs to one connection, and so do its events and its marks: the secret of one connection can forge
no event of another one, nor have a true delivery treated as a duplicate.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import delete, select

from airflow_provider_bitscale.webhooks.airflow_internals import (
    AssetModel,
    AssetStateStoreModel,
    create_asset,
    in_a_transaction,
    include_in_queued_runs,
    register_event,
)
from airflow_provider_bitscale.webhooks.assets import ASSETS, DELIVERY, asset_name, connection_of
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS, TOO_OLD
from airflow_provider_bitscale.webhooks.submission_events import SUBMITTED_RUNS, submitted_runs_asset

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery

_MARK = "bitscale_run_"
# How long a run is marked as delivered, from its end on.
REMEMBERED = timedelta(days=30)
# The search for old marks uses no index.
PRUNE_SECONDS = 3_600.0

ReceivedDelivery: TypeAlias = "tuple[str, Delivery]"

log = logging.getLogger(__name__)


def create_submission_assets(conn_ids: Iterable[str]) -> None:
    """Create the assets of submitted runs, so that the first tasks can succeed at the same moment.

    :raises sqlalchemy.exc.SQLAlchemyError: the database fails.
    """
    assets = [submitted_runs_asset(conn_id) for conn_id in sorted(conn_ids)]

    def create_all(session: Session) -> None:
        for asset in assets:
            create_asset(session, asset, SUBMITTED_RUNS)

    in_a_transaction(create_all)


def notify_scheduled(received: Sequence[ReceivedDelivery]) -> list[str]:
    """Make each delivery an asset event, once for each run.

    :param received: each with the connection that it was signed for.
    :return: the outcome of each.
    :raises sqlalchemy.exc.SQLAlchemyError: the database fails; it has stored none.
    """
    outcomes, notifications = in_a_transaction(lambda session: _notify_scheduled(session, received))
    for notify in notifications:
        try:
            notify()
        except Exception:
            log.exception("An asset listener failed")
    return outcomes


def _notify_scheduled(
    session: Session, received: Sequence[ReceivedDelivery]
) -> tuple[list[str], list[Callable[[], None]]]:
    notifications: list[Callable[[], None]] = []
    names = [asset_name(conn_id, each.grid_id, each.run.status.value) for conn_id, each in received]
    scheduled_on = select(AssetModel.name).where(AssetModel.name.in_(set(names)), AssetModel.active.has())
    active = set(session.scalars(scheduled_on))
    if not active:
        return [NO_SUBSCRIBERS] * len(names), notifications
    # One transaction after the other: the scheduler takes events by their time, and must not take a later one
    # while an earlier one is not committed. All assets, since a DAG may be scheduled on several.
    ours = select(AssetModel).where(AssetModel.name.startswith(ASSETS)).order_by(AssetModel.id)
    locked = session.scalars(ours.with_for_update(key_share=True, of=AssetModel)).all()
    assets = {asset.name: asset for asset in locked if asset.name in active}
    delivered = _DeliveredRuns(session, {asset.id: connection_of(asset.name) for asset in locked}, received)

    def notify(conn_id: str, delivery: Delivery, asset: AssetModel | None) -> str:
        if asset is None:
            return NO_SUBSCRIBERS
        outcome = delivered.note(conn_id, delivery, asset.id)
        if outcome == ACCEPTED:
            # As ASCII text: some databases do not store every character, and some readers not every object.
            extra = {DELIVERY: json.dumps(dict(delivery.payload))}
            register_event(session, asset, extra, notifications)
        return outcome

    outcomes = [notify(*each, assets.get(name)) for each, name in zip(received, names, strict=True)]
    for asset in assets.values():
        include_in_queued_runs(session, asset.id)
    return outcomes, notifications


class _DeliveredRuns:
    """The runs that these assets have events of, as marks in their state stores.

    A mark has only a connection and a run id. Everything else may differ between two deliveries of a run; the
    first one counts.

    :param connections: of the assets, by id.
    """

    _prune_at = 0.0

    def __init__(
        self, session: Session, connections: Mapping[int, str | None], received: Sequence[ReceivedDelivery]
    ) -> None:
        self._session = session
        self._oldest = datetime.now(timezone.utc) - REMEMBERED
        of_ours = AssetStateStoreModel.asset_id.in_(connections)
        if time.monotonic() >= _DeliveredRuns._prune_at:
            marks_of_ours = AssetStateStoreModel.key.startswith(_MARK, autoescape=True), of_ours
            old = AssetStateStoreModel.updated_at < self._oldest
            # Otherwise every deleted row would be read, and there may be many.
            session.execute(
                delete(AssetStateStoreModel).where(*marks_of_ours, old),
                execution_options={"synchronize_session": False},
            )
            _DeliveredRuns._prune_at = time.monotonic() + PRUNE_SECONDS
        marks = select(AssetStateStoreModel.asset_id, AssetStateStoreModel.key).where(
            of_ours, AssetStateStoreModel.key.in_({_mark(delivery) for _, delivery in received})
        )
        self._marks = {(connections[asset_id], mark) for asset_id, mark in session.execute(marks)}

    def note(self, conn_id: str, delivery: Delivery, asset_id: int) -> str:
        """Mark the run as delivered, unless it was marked, or may have been; return the outcome."""
        mark = _mark(delivery)
        if (conn_id, mark) in self._marks:
            return DUPLICATE
        ended = delivery.run.completed_at
        # Some APIs write a date of long ago for none.
        if ended is not None and ended.year >= 2000 and ended < self._oldest:
            log.warning("Run %s ended too long ago to make an event of it", delivery.run_id)
            return TOO_OLD
        self._marks.add((conn_id, mark))
        self._session.add(AssetStateStoreModel(asset_id=asset_id, key=mark, value="true"))
        return ACCEPTED


def _mark(delivery: Delivery) -> str:
    return f"{_MARK}{delivery.run_id}"

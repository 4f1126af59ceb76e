"""Makes deliveries asset events, in Airflow's database. Runs in the API server alone.

An asset is of one connection, and so are its events and its marks: whoever has the secret of one makes no
event of another's, nor passes off a true delivery as a duplicate.
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
    in_a_transaction,
    let_queued_runs_take,
    make_known,
    register_event,
)
from airflow_provider_bitscale.webhooks.assets import ASSETS, DELIVERY, asset_name, connection_of
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, DUPLICATE, NO_SUBSCRIBERS, TOO_OLD
from airflow_provider_bitscale.webhooks.submissions import SUBMITTED_RUNS, submitted_runs_asset

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery

_MARK = "bitscale_run_"
# For so long after its end it is known of a run that it has been told.
REMEMBERED = timedelta(days=30)
# Old marks are looked for by their time, which has no index.
PRUNE_SECONDS = 3_600.0

Received: TypeAlias = "tuple[str, Delivery]"

log = logging.getLogger(__name__)


def expect_submissions(conn_ids: Iterable[str]) -> None:
    """Let tasks that submit with these connections succeed at the same moment, from the first ones on.

    :raises sqlalchemy.exc.SQLAlchemyError: the database does not take it.
    """
    assets = [submitted_runs_asset(conn_id) for conn_id in sorted(conn_ids)]

    def make_all_known(session: Session) -> None:
        for asset in assets:
            make_known(session, asset, SUBMITTED_RUNS)

    in_a_transaction(make_all_known)


def notify_scheduled(received: Sequence[Received]) -> list[str]:
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
    locked = session.scalars(ours.with_for_update(key_share=True, of=AssetModel)).all()
    assets = {asset.name: asset for asset in locked if asset.name in active}
    told = _Told(session, {asset.id: connection_of(asset.name) for asset in locked}, received)

    def tell(conn_id: str, delivery: Delivery, asset: AssetModel | None) -> str:
        if asset is None:
            return NO_SUBSCRIBERS
        outcome = told.note(conn_id, delivery, asset.id)
        if outcome == ACCEPTED:
            # As ASCII text: not every database takes every character, nor every reader every object.
            extra = {DELIVERY: json.dumps(dict(delivery.payload))}
            register_event(session, asset, extra, notifications)
        return outcome

    outcomes = [tell(*each, assets.get(name)) for each, name in zip(received, names, strict=True)]
    for asset in assets.values():
        let_queued_runs_take(session, asset.id)
    return outcomes, notifications


class _Told:
    """The runs that these assets have told of, as marks in their state stores.

    A mark is of a connection and a run id alone. All else may differ between two accounts of one run, and a
    run has one end: the first one that is told.

    :param connections: of the assets, by id.
    """

    _prune_at = 0.0

    def __init__(
        self, session: Session, connections: Mapping[int, str | None], received: Sequence[Received]
    ) -> None:
        self._session = session
        self._oldest = datetime.now(timezone.utc) - REMEMBERED
        of_ours = AssetStateStoreModel.asset_id.in_(connections)
        if time.monotonic() >= _Told._prune_at:
            marks_of_ours = AssetStateStoreModel.key.startswith(_MARK, autoescape=True), of_ours
            old = AssetStateStoreModel.updated_at < self._oldest
            # Else all that is deleted would be read, and there may be much of it.
            session.execute(
                delete(AssetStateStoreModel).where(*marks_of_ours, old),
                execution_options={"synchronize_session": False},
            )
            _Told._prune_at = time.monotonic() + PRUNE_SECONDS
        marks = select(AssetStateStoreModel.asset_id, AssetStateStoreModel.key).where(
            of_ours, AssetStateStoreModel.key.in_({_mark(delivery) for _, delivery in received})
        )
        self._marks = {(connections[asset_id], mark) for asset_id, mark in session.execute(marks)}

    def note(self, conn_id: str, delivery: Delivery, asset_id: int) -> str:
        """Note that this asset tells of the run now, unless one of its connection has, or may have."""
        mark = _mark(delivery)
        if (conn_id, mark) in self._marks:
            return DUPLICATE
        ended = delivery.run.completed_at
        # Some dates stand for none.
        if ended is not None and ended.year >= 2000 and ended < self._oldest:
            log.warning("Run %s ended too long ago to make an event of it", delivery.run_id)
            return TOO_OLD
        self._marks.add((conn_id, mark))
        self._session.add(AssetStateStoreModel(asset_id=asset_id, key=mark, value="true"))
        return ACCEPTED


def _mark(delivery: Delivery) -> str:
    return f"{_MARK}{delivery.run_id}"

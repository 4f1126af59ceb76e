"""Tells the task instances that wait of deliveries, in Airflow's database. Runs in the API server alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_bitscale.webhooks.airflow_internals import (
    TaskInstanceStore,
    in_a_transaction,
    task_instances,
)
from airflow_provider_bitscale.webhooks.awaited import awaits
from airflow_provider_bitscale.webhooks.callback_token import Claims, DeliveryAddress
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue, QueuedDelivery
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, NO_SUBSCRIBERS, outcome_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery

Addressed: TypeAlias = "tuple[Delivery, Claims]"


def notify_waiting(deliveries: Sequence[Addressed]) -> list[str | Exception]:
    """Leave each delivery where the task instance looks for it that submitted the run, if it waits for it.

    :return: the outcome of each, or why the database did not take it.
    """
    told: dict[int, str | Exception] = {}
    groups: dict[DeliveryAddress, dict[int, Addressed]] = defaultdict(dict)
    for place, (delivery, claims) in enumerate(deliveries):
        groups[claims.address][place] = delivery, claims
    for address, group in groups.items():
        # A transaction for each: what is locked for one is not held while another waits.
        try:
            outcomes: Sequence[str | Exception] = in_a_transaction(
                partial(_tell_task, address, list(group.values()))
            )
        except SQLAlchemyError as error:
            # Others wait for theirs.
            outcomes = [error] * len(group)
        told.update(zip(group, outcomes, strict=True))
    return [told[place] for place in range(len(deliveries))]


def _tell_task(address: DeliveryAddress, group: Sequence[Addressed], session: Session) -> list[str]:
    outcomes = [NO_SUBSCRIBERS] * len(group)
    for store in task_instances(session, address):
        mails = []
        for place, (delivery, claims) in enumerate(group):
            outcome = awaits(store, claims, delivery.run_id)
            if outcome == ACCEPTED and claims.row is not None:
                mails.append(QueuedDelivery(claims.row, delivery.payload))
            elif outcome == ACCEPTED:
                _tell(store, address.key, delivery)
            outcomes[place] = outcome_of((outcome, outcomes[place]))
        if mails:
            DeliveryQueue(store, address.key).put(mails)
    return outcomes


def _tell(store: TaskInstanceStore, key: str, delivery: Delivery) -> None:
    # A trigger can read XComs, which a new try begins without; a task its state store, which outlives
    # tries. As ASCII text: not every database takes every character.
    store.push(key, json.dumps(dict(delivery.payload)))
    store.set(key, {"run_id": delivery.run_id})

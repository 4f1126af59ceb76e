"""Passes deliveries to the task instances that wait for them, in Airflow's database; API server only."""

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

AddressedDelivery: TypeAlias = "tuple[Delivery, Claims]"


def notify_waiting(deliveries: Sequence[AddressedDelivery]) -> list[str | Exception]:
    """Store each delivery for the task instance that submitted its run, if that waits for it.

    :return: the outcome of each, or the error of the database.
    """
    outcomes: dict[int, str | Exception] = {}
    groups: dict[DeliveryAddress, dict[int, AddressedDelivery]] = defaultdict(dict)
    for place, (delivery, claims) in enumerate(deliveries):
        groups[claims.address][place] = delivery, claims
    for address, group in groups.items():
        # A transaction for each, so that none holds the locks of another.
        try:
            done: Sequence[str | Exception] = in_a_transaction(
                partial(_notify_task, address, list(group.values()))
            )
        except SQLAlchemyError as error:
            # It must not fail the others.
            done = [error] * len(group)
        outcomes.update(zip(group, done, strict=True))
    return [outcomes[place] for place in range(len(deliveries))]


def _notify_task(address: DeliveryAddress, group: Sequence[AddressedDelivery], session: Session) -> list[str]:
    outcomes = [NO_SUBSCRIBERS] * len(group)
    for store in task_instances(session, address):
        queued = []
        for place, (delivery, claims) in enumerate(group):
            outcome = awaits(store, claims, delivery.run_id)
            if outcome == ACCEPTED and claims.row is not None:
                queued.append(QueuedDelivery(claims.row, delivery.payload))
            elif outcome == ACCEPTED:
                _store(store, address.key, delivery)
            outcomes[place] = outcome_of((outcome, outcomes[place]))
        if queued:
            DeliveryQueue(store, address.key).put(queued)
    return outcomes


def _store(store: TaskInstanceStore, key: str, delivery: Delivery) -> None:
    # In both: a trigger can read XComs, which a new try begins without, and a task its state store, which
    # outlives tries. As ASCII text: some databases do not store every character.
    store.push(key, json.dumps(dict(delivery.payload)))
    store.set(key, {"run_id": delivery.run_id})

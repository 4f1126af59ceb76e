"""Tells task instances of deliveries, in Airflow's database. Runs in the API server alone.

Airflow has no public way to do this within its process: that which is used of its models stands here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow._shared.state import TaskScope
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.state import get_state_backend
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_bitscale.webhooks.mailbox import Mail, Mailbox
from airflow_provider_bitscale.webhooks.transaction import in_a_transaction

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_bitscale.api.deliveries import Delivery
    from airflow_provider_bitscale.webhooks.addressee import Addressee, Claims

Received: TypeAlias = "tuple[Delivery, Claims | None]"


def tell_tasks(deliveries: Sequence[Received]) -> list[bool | SQLAlchemyError]:
    """Leave each delivery where the task instance looks for it that submitted the run.

    :return: for each whether there is such a task instance, or why the database did not take it.
    """
    told: list[bool | SQLAlchemyError] = [False] * len(deliveries)
    groups: dict[Addressee, dict[int, int | None]] = defaultdict(dict)
    for place, (_, claims) in enumerate(deliveries):
        if claims is not None:
            groups[claims.addressee][place] = claims.row
    for addressee, rows in groups.items():
        # A transaction for each: what is locked for one is not held while another waits.
        group = [(deliveries[place][0], row) for place, row in rows.items()]
        try:
            outcome: bool | SQLAlchemyError = in_a_transaction(partial(_tell_task, addressee, group))
        except SQLAlchemyError as error:
            # Others wait for theirs.
            outcome = error
        for place in rows:
            told[place] = outcome
    return told


def _tell_task(addressee: Addressee, group: Sequence[tuple[Delivery, int | None]], session: Session) -> bool:
    scope = TaskScope(addressee.dag_id, addressee.run_id, addressee.task_id, addressee.map_index)
    # Whoever writes for the same task instance comes after this one.
    exists = select(TaskInstance.id).filter_by(**asdict(scope)).with_for_update(key_share=True)
    if session.scalar(exists) is None:
        return False
    state = _TaskState(session, scope)
    if mail := [Mail(row, delivery.payload) for delivery, row in group if row is not None]:
        Mailbox(state, addressee.key).put(mail)
    for delivery in (delivery for delivery, row in group if row is None):
        # A trigger can read XComs, which a new try begins without; a task its state store, which outlives
        # tries. As ASCII text: not every database takes every character.
        text = json.dumps(dict(delivery.payload))
        XComModel.set(addressee.key, text, **asdict(scope), serialize=False, session=session)
        state.set(addressee.key, {"run_id": delivery.run_id})
    return True


class _TaskState:
    """The state store of a task instance, as the API server has it: within a transaction."""

    def __init__(self, session: Session, scope: TaskScope) -> None:
        self._session = session
        self._scope = scope

    def get(self, key: str) -> Any:
        stored = get_state_backend().get(self._scope, key, session=self._session)
        return None if stored is None else json.loads(stored)

    def set(self, key: str, value: Any) -> None:
        get_state_backend().set(self._scope, key, json.dumps(value), session=self._session)

    def delete(self, key: str) -> None:
        get_state_backend().delete(self._scope, key, session=self._session)

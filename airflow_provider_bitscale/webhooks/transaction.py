"""Transactions of Airflow's database, in the API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import get_dialect_name
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LOCK_SECONDS = 3

T = TypeVar("T")


def in_a_transaction(work: Callable[[Session], T]) -> T:
    """Do this in a transaction of its own, and once more if somebody else wrote the same at that moment.

    :raises sqlalchemy.exc.SQLAlchemyError: the database does not take it.
    """
    try:
        return _once(work)
    except IntegrityError:
        # What they wrote is found now.
        return _once(work)


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

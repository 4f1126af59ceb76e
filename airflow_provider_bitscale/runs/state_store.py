"""The task's state store: a read that can be believed, and a write that is repeated until it is taken."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError
from airflow_provider_bitscale.api.retry import backoff
from airflow_provider_bitscale.runs.resume import Try

PROBE_KEY = "bitscale_probe"
# Seconds after the first failed write; it doubles from there.
_FIRST_PAUSE = 1.0
_R = TypeVar("_R")

log = logging.getLogger(__name__)


class OwnerChangedError(Exception):
    """The store refuses the writes of this try: the task was cleared, or another try runs."""


class Store(Protocol):
    """A durable place for JSON."""

    def get(self, key: str) -> Any:
        """Return the value, or None."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value; raises if that failed."""

    def delete(self, key: str) -> None:
        """Drop a value."""


class DurableWrite:
    """One write, repeated until the store takes it.

    :param write: raises if it failed, though the store may have taken it all the same; may be repeated.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._failures = 0
        # Unix seconds before which another attempt is of no use.
        self.next_at = 0.0

    def attempt(self) -> bool:
        """Write once; whether the store took it.

        :raises OwnerChangedError: it will never take it.
        """
        try:
            self._attempt()
        except OwnerChangedError:
            raise
        except Exception as problem:
            log.warning("The task's state store failed to write: %s", problem)
            return False
        return True

    def persist(self, seconds: float) -> None:
        """Write, again and again where that fails.

        :param seconds: for which attempts are repeated.
        :raises Exception: of the last attempt, if none succeeded.
        """
        give_up_at = time.time() + seconds
        while True:
            try:
                return self._attempt()
            except OwnerChangedError:
                raise
            except Exception as problem:
                if self.next_at > give_up_at:
                    raise
                log.warning("The task's state store failed to write, trying again: %s", problem)
                time.sleep(max(0.0, self.next_at - time.time()))

    def _attempt(self) -> None:
        try:
            self._write()
        except Exception:
            self._failures += 1
            self.next_at = time.time() + backoff(self._failures, first=_FIRST_PAUSE)
            raise


def read_verified(store: Store, key: str) -> Any:
    """Return the value of a key; None if the store proves that it can be read, and has no value there.

    Airflow's SDK turns each JSON 404 into None, also that of a proxy, or of a server that is not ready. So a
    key that is not found is asked for again, in between reads of a value that was just written.

    :raises ConnectionError: the store does not return the written value either; a retry may help.
    """
    if (stored := store.get(key)) is not None:
        return stored
    token = secrets.token_hex(4)
    store.set(PROBE_KEY, token)
    for _ in range(2):
        if (stored := store.get(key)) is not None:
            break
        if store.get(PROBE_KEY) != token:
            raise ConnectionError(
                "the task's state store does not return what was just written to it, so what an earlier try "
                "has paid for is not known; nothing was submitted"
            )
    store.delete(PROBE_KEY)
    return stored


def read_record(store: Store, key: str, kind: Callable[..., _R], recovery: str) -> _R | None:
    """Return the record that an earlier try left, or None.

    :param kind: makes the record of its fields, of which ``last_try`` is a :class:`Try`.
    :param recovery: what a person can do about a record that cannot be read.
    :raises AmbiguousSubmitError: there is one that cannot be read, which is not the same as none.
    :raises ConnectionError: the store cannot be relied on; see :func:`read_verified`.
    """
    if (stored := read_verified(store, key)) is None:
        return None
    try:
        return kind(**{**stored, "last_try": Try(**stored["last_try"])})
    except (TypeError, KeyError):
        raise unreadable(stored, recovery) from None


def unreadable(stored: Any, recovery: str) -> AmbiguousSubmitError:
    """Return the error for a record that is not what an earlier try wrote."""
    return AmbiguousSubmitError(f"the record of an earlier try cannot be read: {stored!r}. {recovery}")

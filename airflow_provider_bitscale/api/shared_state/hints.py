"""Small values that processes tell each other about a limit's grids: as JSON, and with a lifetime."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_bitscale.api.carriable import read_json
from airflow_provider_bitscale.api.shared_state.address import part_name
from airflow_provider_bitscale.api.shared_state.backend import Backend
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState

T = TypeVar("T")

# A longer time than any value is of use, and not too long for what keeps it.
MOST_SECONDS = 7 * 24 * 60 * 60.0


class Hints:
    """What was put under a kind and an identity, by any process. Whoever reads it checks what it is.

    No method raises: a value that cannot be read, or that nobody answers for, is none.

    :param state: where the values are; None where nothing is shared.
    :param limit: the name of the limit that they belong to.
    """

    def __init__(self, state: SharedState | None, limit: str) -> None:
        self._state = state
        self._limit = limit

    def get(self, kind: str, identity: str) -> Any:
        """Return a value; None if there is none."""
        return _read(self._ask(self._getting(kind, identity)))

    async def aget(self, kind: str, identity: str) -> Any:
        """Async twin of :meth:`get`."""
        return _read(await self._aask(self._getting(kind, identity)))

    def put(self, kind: str, identity: str, value: Any, seconds: float) -> None:
        """Keep a value, which JSON must be able to hold, for so many seconds, unless it is too long."""
        self._ask(self._putting(kind, identity, value, seconds))

    async def aput(self, kind: str, identity: str, value: Any, seconds: float) -> None:
        """Async twin of :meth:`put`."""
        await self._aask(self._putting(kind, identity, value, seconds))

    def claim(self, kind: str, identity: str, seconds: float) -> bool:
        """Claim something for so many seconds; return False only if another process has it."""
        name = self._name(kind, identity)
        return self._ask(lambda backend: backend.claim(name, seconds)) is not False

    def delete(self, kind: str, identity: str) -> None:
        """Remove a value or a claim, if there is one."""
        self._ask(self._deleting(kind, identity))

    async def adelete(self, kind: str, identity: str) -> None:
        """Async twin of :meth:`delete`."""
        await self._aask(self._deleting(kind, identity))

    def _ask(self, question: Callable[[Backend], T]) -> T | None:
        return None if self._state is None else self._state.ask(question)

    async def _aask(self, question: Callable[[Backend], T]) -> T | None:
        return None if self._state is None else await self._state.ask_async(question)

    def _name(self, kind: str, identity: str) -> str:
        # An identity is whatever somebody calls a grid.
        return part_name(self._limit, kind, ascii(identity))

    def _getting(self, kind: str, identity: str) -> Callable[[Backend], bytes | None]:
        name = self._name(kind, identity)
        return lambda backend: backend.get(name)

    def _putting(self, kind: str, identity: str, value: Any, seconds: float) -> Callable[[Backend], None]:
        name, text = self._name(kind, identity), json.dumps(value, separators=(",", ":")).encode()
        return lambda backend: backend.put(name, text, min(seconds, MOST_SECONDS))

    def _deleting(self, kind: str, identity: str) -> Callable[[Backend], None]:
        name = self._name(kind, identity)
        return lambda backend: backend.delete(name)


def _read(value: bytes | None) -> Any:
    try:
        return None if value is None else read_json(value)
    except ValueError:
        return None

"""Shared state in memory, for pacers that stand for processes of their own."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import ClassVar

from airflow_provider_bitscale.api.limit.bookings import Operation, Turn
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.api.shared_state.backend import UnavailableError


class MemoryBackend:
    """Holds slot books; ``is_away`` makes it fail."""

    blocks: ClassVar[bool] = False
    scope = "a test"

    def __init__(self) -> None:
        self.books: dict[str, SlotBook] = defaultdict(SlotBook)
        self.operations: list[Operation] = []
        self.is_away = False
        self._lock = threading.Lock()

    def apply(self, name: str, operation: Operation) -> Turn:
        self._answer()
        with self._lock:
            self.operations.append(operation)
            return self.books[name].apply(operation, time.time())

    def get(self, name: str) -> bytes | None:
        self._answer()
        return None

    def put(self, name: str, value: bytes, seconds: float) -> None:
        self._answer()

    def claim(self, name: str, seconds: float) -> bool:
        self._answer()
        return True

    def delete(self, name: str) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.is_away:
            raise UnavailableError("switched off")

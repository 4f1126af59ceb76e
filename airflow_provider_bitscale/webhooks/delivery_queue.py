"""The deliveries of a batch, from the API server to its task, in the state store of the task.

Every change writes a whole value again, and the task reads once a second. So the queue has pages: each under
a key of its own, and the number of the page that is written now under the key of the queue.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.runs.state_store import Store

# A page of this many characters is full.
PAGE_SIZE = 16_000


@dataclass(frozen=True)
class QueuedDelivery:
    """A verified delivery for a row of a batch."""

    row: int
    payload: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The id of the delivered run."""
        return str(self.payload["run_id"])


class DeliveryQueue:
    """The delivery queue of one batch, in the state store of its task."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        # The reader's position: the page (None before the first), and how many of its deliveries were read.
        self._page: int | None = None
        self._read = 0
        self._read_pages: list[int] = []

    def put(self, deliveries: Iterable[QueuedDelivery]) -> None:
        """Add deliveries. The caller makes sure that there is one writer at a time."""
        first = number = self._written_now()
        page: list[list[Any]] = (self._store.get(self._page_key(number)) or {"mail": []})["mail"]
        for delivery in deliveries:
            # As ASCII text: not every reader takes every character.
            page.append([delivery.row, json.dumps(dict(delivery.payload))])
            if sum(len(text) for _, text in page) >= PAGE_SIZE:
                self._store.set(self._page_key(number), {"mail": page, "full": True})
                number, page = number + 1, []
        if page:
            self._store.set(self._page_key(number), {"mail": page, "full": False})
        if number != first:
            self._store.set(self._key, number)

    def collect(self) -> list[QueuedDelivery]:
        """Return some of the deliveries that were not read yet, in order; empty if there are none.

        A delivery may come more than once.
        """
        if self._page is None:
            self._page = self._oldest()
        page = self._store.get(self._page_key(self._page))
        if page is None:
            return []
        collected = [QueuedDelivery(row, json.loads(text)) for row, text in page["mail"][self._read :]]
        self._read = len(page["mail"])
        if page["full"]:
            self._read_pages.append(self._page)
            self._page, self._read = self._page + 1, 0
        return collected

    @property
    def has_read_pages(self) -> bool:
        """Whether there are pages to drop, once the batch has recorded what it collected."""
        return bool(self._read_pages)

    def drop_read_pages(self) -> None:
        """Drop the pages that were read to their end."""
        while self._read_pages:
            # The oldest first, so that the remaining ones have no gap.
            self._store.delete(self._page_key(self._read_pages[0]))
            del self._read_pages[0]

    def _written_now(self) -> int:
        return int(self._store.get(self._key) or 0)

    def _oldest(self) -> int:
        number = self._written_now()
        while number and self._store.get(self._page_key(number - 1)) is not None:
            number -= 1
        return number

    def _page_key(self, number: int) -> str:
        return f"{self._key}_{number:05d}"

"""Where the API server leaves the deliveries of a batch, in the state store of its task.

A value is written again with whatever comes, and read once a second, so there are pages: each under a key of
its own, and under the key of the mailbox the number of the one that is written now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.runs.run_record import Store

# From so many characters on, a page is full. Whatever comes has its page written again.
PAGE_SIZE = 16_000


@dataclass(frozen=True)
class QueuedDelivery:
    """A delivery for a row of a batch.

    :param payload: of a verified delivery: a run that has ended.
    """

    row: int
    payload: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The id of the run that has ended."""
        return str(self.payload["run_id"])


class DeliveryQueue:
    """The mailbox of one batch.

    :param store: the state store of the batch's task.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        # As a reader: the page it has come to, None before the first; and how much of it has been read.
        self._page: int | None = None
        self._read = 0
        self._read_pages: list[int] = []

    def put(self, mails: Iterable[QueuedDelivery]) -> None:
        """Add mail; nobody else may do so meanwhile."""
        first = number = self._written_now()
        texts: list[list[Any]] = (self._store.get(self._page_key(number)) or {"mail": []})["mail"]
        for mail in mails:
            # As ASCII text: not every reader takes every character.
            texts.append([mail.row, json.dumps(dict(mail.payload))])
            if sum(len(text) for _, text in texts) >= PAGE_SIZE:
                self._store.set(self._page_key(number), {"mail": texts, "full": True})
                number, texts = number + 1, []
        if texts:
            self._store.set(self._page_key(number), {"mail": texts, "full": False})
        if number != first:
            self._store.set(self._key, number)

    def collect(self) -> list[QueuedDelivery]:
        """Some of the mail that nobody has collected, in order; empty if there is none.

        Mail may be repeated, as deliveries are.
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
        """Whether there are pages that nobody needs, once all that was collected is written down."""
        return bool(self._read_pages)

    def drop_read_pages(self) -> None:
        """Drop the pages of which all has been collected."""
        while self._read_pages:
            # The oldest first, so that none is ever missing between two others.
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

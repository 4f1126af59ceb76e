"""What a try could not write to the task's state store, left where the next one finds it.

A store that refuses, because the task was cleared or the API server is away, must not cost the ids of runs
that are paid for: they are written to a file beside the parts, and to the log.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Protocol

from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY
from airflow_provider_bitscale.batch.store.journal import Changes

# Run ids in a line of the log, and in all its lines; the file has them all.
_IDS_IN_A_LINE = 50
_MOST_IDS = 2_000

log = logging.getLogger(__name__)


class Folder(Protocol):
    """Where the parts of a batch are; :class:`Output` has it."""

    def write_file(self, name: str, text: str) -> str: ...
    def read_file(self, name: str) -> str | None: ...
    def remove_file(self, name: str) -> None: ...


class UnsavedChanges:
    """What the tries of one batch leave of what they could not write; each in a file of its own.

    :param folder: None where the batch has none: then the log alone has it.
    """

    def __init__(self, batch_id: str, folder: Folder | None, segment_size: int) -> None:
        self._batch_id = batch_id
        self._folder = folder
        self._segment_size = segment_size
        self._told: set[str] = set()
        self._left: dict[str, Any] = {}

    @property
    def is_kept(self) -> bool:
        """Whether there is a place beside the log."""
        return self._folder is not None

    def leave(self, token: str, changes: Changes) -> None:
        """Leave what is not known to be durable when this try ends, for a later one. Never raises."""
        self._tell(changes)
        values = changes.values(self._batch_id)
        if self._folder is None or values == self._left:
            return
        try:
            path = self._folder.write_file(_name(token), json.dumps({"values": values}))
            log.warning("What the task's state store did not take is in %s; a retry reads it", path)
            self._left = values
        except Exception as problem:
            log.warning("What the task's state store did not take could not be kept: %s", problem)

    def find(self, token: str) -> dict[str, Any]:
        """Return what a try has left, as values by key; nothing if it left nothing.

        :raises OSError: the store of the parts cannot be read.
        """
        text = None if self._folder is None else self._folder.read_file(_name(token))
        if text is None:
            return {}
        try:
            found = json.loads(text)["values"]
            return {key: value for key, value in found.items() if self._is_own(key)}
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("The file %s beside the parts cannot be read", _name(token))
            return {}

    def remove(self, token: str) -> None:
        """Remove what a try has left, if it left anything."""
        if self._folder is not None:
            self._folder.remove_file(_name(token))

    def _tell(self, changes: Changes) -> None:
        """Tell the log of run ids that it does not have yet."""
        ids = [
            f"{number * self._segment_size + position + 1}: {run_id}"
            for (number, position), run_id in changes.accepted.items()
            if run_id not in self._told
        ]
        for first in range(0, min(len(ids), _MOST_IDS - len(self._told)), _IDS_IN_A_LINE):
            chunk = ", ".join(ids[first : first + _IDS_IN_A_LINE])
            log.warning("Run ids that the task's state store did not take, by row: %s", chunk)
        self._told.update(changes.accepted.values())

    def _is_own(self, key: str) -> bool:
        return key == BATCH_KEY or key.startswith(f"{BATCH_KEY}_{self._batch_id}_")


def _name(token: str) -> str:
    return f"unsaved-{token}.json"

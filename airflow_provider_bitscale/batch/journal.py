"""What survives a crash: the fate of each row of a batch, in groups.

One value for the batch and one for each segment, in Airflow's task state store. A segment's value has an
entry for each of its rows: null where nothing has happened, ``""`` where a submission may have left, else the
run's id. Rows that were answered at once, without an id to ask again, are kept whole in values of their own.
When all rows of a segment have been written to a part, its value shrinks to a summary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError, InvalidRequestError
from airflow_provider_bitscale.batch.statuses import Settled
from airflow_provider_bitscale.runs.ledger import Store

KEY = "bitscale_batch"
INTENT = ""
WAY_OUT = (
    f"To start anew, and pay anew, delete the key {KEY!r} from the task's state store and clear the task."
)
# Airflow warns at 64 KB.
_RESULT_BYTES = 48_000

Entry: TypeAlias = "str | None"
Changes: TypeAlias = "tuple[dict[str, Any], list[str]]"


@dataclass(frozen=True)
class Head:
    """The batch as a whole.

    :param fingerprint: of the input, the grid and all that changes what is bought.
    :param generation: grows when a person clears the task, and stays the same over retries.
    :param output_path: where its parts are; the first try decides.
    :param collected: whether the task has succeeded with it.
    """

    batch_id: str
    fingerprint: str
    generation: int
    started_at: float
    output_path: str | None
    output_format: str
    collected: bool = False


@dataclass(frozen=True)
class Summary:
    """A segment that is finished.

    :param counts: rows by status.
    :param credits: consumed by its runs, as far as that is known.
    :param untold: runs of which it is not.
    """

    part: str | None
    counts: Mapping[str, int]
    credits: float
    untold: int


@dataclass
class SegmentRecord:
    """What is known of a segment that is not finished; by position of the row in it.

    :param results: of rows that were answered at once.
    """

    entries: list[Entry]
    results: dict[int, Settled] = field(default_factory=dict)


def read_head(store: Store) -> Head | None:
    """The batch of an earlier try, or None.

    :raises AmbiguousSubmitError: there is one that cannot be read, which is not the same as none.
    """
    stored = store.get(KEY)
    if stored is None:
        return None
    try:
        return Head(**stored)
    except TypeError:
        raise AmbiguousSubmitError(
            f"the record of an earlier try cannot be read: {stored!r}. {WAY_OUT}"
        ) from None


def write_head(store: Store, head: Head) -> None:
    """Make it durable."""
    store.set(KEY, asdict(head))


def continues(head: Head | None, fingerprint: str, generation: int) -> bool:
    """Whether a try goes on with the batch of an earlier one, rather than begin anew.

    :raises InvalidRequestError: it would pay anew for rows that an unfinished batch has paid for.
    """
    if head is None or (head.collected and (head.generation, head.fingerprint) != (generation, fingerprint)):
        return False
    if head.fingerprint == fingerprint:
        return True
    raise InvalidRequestError(
        "the input, or an option that decides what is bought, has changed since an earlier try, which may "
        f"have paid for rows. Change it back, and they will be collected. {WAY_OUT}"
    )


class Journal:
    """The segments of one batch. Changes are gathered, and become durable by :meth:`write`.

    :param batch_id: part of the keys, so that batches do not read each other's.
    """

    def __init__(self, store: Store, batch_id: str) -> None:
        self._store = store
        self._batch_id = batch_id
        self._open: dict[int, SegmentRecord] = {}
        self._chunks: dict[int, int] = {}
        self._changed: dict[str, Any] = {}
        self._dropped: list[str] = []

    def read(self, number: int) -> SegmentRecord | Summary | None:
        """What an earlier try left of a segment.

        :raises AmbiguousSubmitError: something that cannot be read.
        """
        stored = self._store.get(self._key(number))
        if stored is None:
            return None
        try:
            if "entries" not in stored:
                return Summary(**stored)
            record = SegmentRecord(_entries(stored["entries"]))
            chunks = 0
            while (chunk := self._store.get(self._chunk_key(number, chunks))) is not None:
                record.results.update((int(row), Settled(**settled)) for row, settled in chunk.items())
                chunks += 1
        except (TypeError, ValueError, AttributeError):
            raise AmbiguousSubmitError(
                f"the record of an earlier try cannot be read: {stored!r}. {WAY_OUT}"
            ) from None
        self._chunks[number] = chunks
        return record

    def open(self, number: int, record: SegmentRecord) -> None:
        """Keep this segment's record from now on."""
        self._open[number] = record

    def announce(self, number: int, rows: Iterable[int]) -> None:
        """These rows may be submitted once this is durable."""
        self._set(number, rows, INTENT)

    def retract(self, number: int, rows: Iterable[int]) -> None:
        """These rows have not been submitted after all."""
        self._set(number, rows, None)

    def accepted(self, number: int, row: int, run_id: str) -> None:
        """BitScale accepted the row's run."""
        self._set(number, [row], run_id)

    def answered(self, number: int, results: Mapping[int, Settled]) -> None:
        """These rows were answered at once, and cannot be asked for again."""
        if number not in self._open:
            # It was finished in the meantime: they are in its part.
            return
        chunk: dict[str, Any] = {}
        size = 0
        for row, settled in results.items():
            entry = asdict(settled)
            entry_size = len(json.dumps({row: entry}))
            if chunk and size + entry_size > _RESULT_BYTES:
                self._add_chunk(number, chunk)
                chunk, size = {}, 0
            chunk[str(row)] = entry
            size += entry_size
        self._add_chunk(number, chunk)

    def finish(self, number: int, summary: Summary) -> None:
        """All rows of this segment are in a part."""
        self._open.pop(number, None)
        self._changed[self._key(number)] = asdict(summary)
        for chunk in range(self._chunks.pop(number, 0)):
            self._dropped.append(self._chunk_key(number, chunk))

    def changes(self) -> Changes | None:
        """What has to be written since this was last asked for: values by key, and keys to drop."""
        if not self._changed and not self._dropped:
            return None
        # A copy: rows go on changing while this is written by another thread.
        changed = {
            key: {"entries": list(value.entries)} if isinstance(value, SegmentRecord) else value
            for key, value in self._changed.items()
        }
        dropped = self._dropped
        self._changed, self._dropped = {}, []
        return changed, dropped

    def restore(self, changes: Changes | None) -> None:
        """These changes could not be written; what has changed since goes before them."""
        if changes is not None:
            self._changed = {**changes[0], **self._changed}
            self._dropped = changes[1] + self._dropped

    def write(self, changes: Changes) -> None:
        """Make changes durable; raises what the store raises."""
        changed, dropped = changes
        for key, value in changed.items():
            self._store.set(key, value)
        for key in dropped:
            self._store.delete(key)

    def _set(self, number: int, rows: Iterable[int], entry: Entry) -> None:
        record = self._open[number]
        for row in rows:
            record.entries[row] = entry
        self._changed[self._key(number)] = record

    def _add_chunk(self, number: int, chunk: dict[str, Any]) -> None:
        chunks = self._chunks.get(number, 0)
        self._changed[self._chunk_key(number, chunks)] = chunk
        self._chunks[number] = chunks + 1

    def _key(self, number: int) -> str:
        return f"{KEY}_{self._batch_id}_{number:05d}"

    def _chunk_key(self, number: int, chunk: int) -> str:
        return f"{self._key(number)}_{chunk:04d}"


def _entries(stored: Any) -> list[Entry]:
    if not isinstance(stored, list) or not all(entry is None or isinstance(entry, str) for entry in stored):
        raise ValueError("no entries")
    return stored

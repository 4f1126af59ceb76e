"""What changes in the records of a running batch, gathered to be written to Airflow's task state store."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_provider_bitscale.batch.row_result import RowResult
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY, BatchRecord
from airflow_provider_bitscale.batch.store.segment_records import (
    SUMMARIES,
    Entry,
    Records,
    SegmentRecord,
    Summary,
    chunk_key,
    group_key,
    group_to_json,
    segment_key,
)
from airflow_provider_bitscale.runs.state_store import Store

# Airflow warns at 64 KB.
_RESULT_BYTES = 48_000


@dataclass
class Changes:
    """What is to be written, by number or key, as JSON; a copy, for rows go on changing meanwhile.

    :param chunks: results of rows, by key.
    :param segments: values of open segments.
    :param groups: values of summaries.
    :param dropped: keys to drop after all else.
    :param accepted: run ids among the segments, by segment and position.
    """

    chunks: dict[str, Any] = field(default_factory=dict)
    segments: dict[int, Any] = field(default_factory=dict)
    groups: dict[int, Any] = field(default_factory=dict)
    batch: dict[str, Any] | None = None
    dropped: list[str] = field(default_factory=list)
    accepted: dict[tuple[int, int], str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chunks or self.segments or self.groups or self.batch or self.dropped)

    def values(self, batch_id: str) -> dict[str, Any]:
        """Return all values by key, in the order of their writing: what one counts comes before it."""
        return {
            **self.chunks,
            **{segment_key(batch_id, number): value for number, value in self.segments.items()},
            **{group_key(batch_id, group): value for group, value in self.groups.items()},
            **({} if self.batch is None else {BATCH_KEY: self.batch}),
        }


class Journal:
    """The records of one batch. Changes are gathered, and become durable by :meth:`write`.

    :param batch: its id is part of the keys, so that batches do not read each other's.
    :param records: what earlier tries left of its segments.
    """

    def __init__(self, store: Store, batch: BatchRecord, records: Records | None = None) -> None:
        self.batch = batch
        self._store = store
        self._open: dict[int, SegmentRecord] = {}
        self._finished: dict[int, dict[int, Summary]] = defaultdict(dict)
        self._changed: set[int] = set()
        self._changed_groups: set[int] = set()
        self._batch_changed = False
        self._chunks: dict[str, Any] = {}
        self._dropped: list[str] = []
        self._accepted: dict[tuple[int, int], str] = {}
        self._being_written = Changes()
        for number, record in (records or {}).items():
            if isinstance(record, Summary):
                self._finished[number // SUMMARIES][number] = record
            else:
                self._open[number] = record

    def begin(self, token: str) -> None:
        """Begin a new try; it may submit rows once this is durable."""
        self.batch = replace(self.batch, tries=[*self.batch.tries, token])
        self._batch_changed = True

    def changed(self, records: Records, results: Mapping[str, Any]) -> None:
        """Note rows that differ from what is in the store, and results as they are kept, by key."""
        for number, record in records.items():
            if isinstance(record, Summary):
                self._changed_groups.add(number // SUMMARIES)
            else:
                self._changed.add(number)
        self._chunks |= results

    def open(self, number: int, record: SegmentRecord) -> None:
        """Keep this segment's record from now on."""
        self._open[number] = record
        if number >= self.batch.opened:
            self.batch = replace(self.batch, opened=number + 1)
            self._batch_changed = True
            self._changed.add(number)

    def note(self, number: int, row: int, entry: Entry) -> None:
        """Note that the entry of a row has changed."""
        self._open[number].entries[row] = entry
        self._changed.add(number)
        if entry:
            self._accepted[number, row] = entry

    def add_results(self, number: int, results: Mapping[int, RowResult]) -> None:
        """Note rows that were answered at once, and cannot be asked for again."""
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
        """Note that all rows of this segment are in a part."""
        self._finished[number // SUMMARIES][number] = summary
        self._changed_groups.add(number // SUMMARIES)
        self._changed.discard(number)
        chunks = [self._chunk_key(number, chunk) for chunk in range(self._open.pop(number).chunks)]
        self._dropped += [segment_key(self.batch.batch_id, number), *chunks]

    def changes(self) -> Changes:
        """Return all that is not durable; :meth:`written` follows unless writing it failed."""
        changes = self._being_written = self.unsaved()
        self._changed, self._changed_groups, self._batch_changed = set(), set(), False
        self._chunks, self._dropped, self._accepted = {}, [], {}
        return changes

    def written(self) -> None:
        """Note that the changes are durable."""
        self._being_written = Changes()

    def write(self, changes: Changes) -> None:
        """Make changes durable; raises what the store raises."""
        for key, value in changes.values(self.batch.batch_id).items():
            self._store.set(key, value)
        for key in changes.dropped:
            self._store.delete(key)

    def unsaved(self) -> Changes:
        """Return all that is not known to be durable: a copy, also of what is just being written."""
        before = self._being_written
        changed = {number: self._open[number].to_json() for number in sorted(self._changed)}
        segments = {number: value for number, value in before.segments.items() if number in self._open}
        groups = {group: group_to_json(self._finished[group]) for group in sorted(self._changed_groups)}
        return Changes(
            {**before.chunks, **self._chunks},
            {**segments, **changed},
            {**before.groups, **groups},
            asdict(self.batch) if self._batch_changed else before.batch,
            before.dropped + self._dropped,
            {**before.accepted, **self._accepted},
        )

    def _add_chunk(self, number: int, chunk: dict[str, Any]) -> None:
        record = self._open[number]
        self._chunks[self._chunk_key(number, record.chunks)] = chunk
        record.chunks += 1
        self._changed.add(number)

    def _chunk_key(self, number: int, chunk: int) -> str:
        return chunk_key(self.batch.batch_id, number, chunk)

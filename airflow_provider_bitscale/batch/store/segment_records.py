"""The records of a batch's segments in Airflow's task state store: shapes, keys, and how they are read.

Each segment that is open has a value with an entry for each of its rows: null where nothing has happened,
``""`` where a submission may have left, else the run's id. Rows that were answered at once, without an id to
ask again, are kept whole in values of their own; the segment's value says how many. Once all rows of a
segment are written to a part, its summary is kept in one value with those of its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError
from airflow_provider_bitscale.batch.row_result import RowResult
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY, BATCH_RECOVERY, BatchRecord
from airflow_provider_bitscale.runs.state_store import Store, unreadable

ANNOUNCED = ""
# Segments whose summaries share a value. Each has a path of up to 1,000 characters; Airflow warns at 64 KB.
SUMMARIES = 50

Entry: TypeAlias = "str | None"


@dataclass(frozen=True)
class Summary:
    """A segment that is finished.

    :param counts: rows by status.
    :param credits: consumed by its runs, as far as that is known.
    :param untold: number of runs whose credits are not known.
    """

    part: str | None
    counts: Mapping[str, int]
    credits: float
    untold: int


@dataclass
class SegmentRecord:
    """What is known of a segment that is not finished; by position of the row in it.

    :param results: of rows that were answered at once.
    :param chunks: values that these results are kept in.
    """

    entries: list[Entry]
    results: dict[int, RowResult] = field(default_factory=dict)
    chunks: int = 0

    @property
    def is_ambiguous(self) -> bool:
        """Whether of some row it is not known what became of a submission, nor whether it left."""
        entries = enumerate(self.entries)
        return any(entry == ANNOUNCED and position not in self.results for position, entry in entries)

    def to_json(self) -> dict[str, Any]:
        """As it is kept; the results are kept by themselves."""
        return {"entries": list(self.entries), "chunks": self.chunks}


Records: TypeAlias = "dict[int, SegmentRecord | Summary]"


def finished(records: Records) -> set[int]:
    """Numbers of the segments whose rows are all written to a part."""
    return {number for number, record in records.items() if isinstance(record, Summary)}


def segment_key(batch_id: str, number: int) -> str:
    """Return the key of an open segment."""
    return f"{BATCH_KEY}_{batch_id}_{number:05d}"


def chunk_key(batch_id: str, number: int, chunk: int) -> str:
    """Return the key of some of a segment's results."""
    return f"{segment_key(batch_id, number)}_{chunk:04d}"


def group_key(batch_id: str, group: int) -> str:
    """Return the key of the summaries of finished segments, from number ``group * SUMMARIES`` on."""
    return f"{BATCH_KEY}_{batch_id}_finished_{group:04d}"


def group_to_json(summaries: Mapping[int, Summary]) -> dict[str, Any]:
    """Summaries as they are kept."""
    return {str(number): asdict(summary) for number, summary in summaries.items()}


def merged(one: Entry, other: Entry) -> Entry:
    """Merge two copies of a row's entry, once no try submits rows any more.

    From then on an entry only goes from "may have left" to a run id, or to "has not left"; and what was never
    announced durably has not left. So it does not matter which copy is older.
    """
    return one or other or (ANNOUNCED if one == other == ANNOUNCED else None)


def read_records(store: Store, batch: BatchRecord, unsaved: Mapping[str, Any]) -> Records:
    """Return what earlier tries left of all segments that they opened.

    :param unsaved: values by key that the last of them could not write; see :func:`merged`.
    :raises AmbiguousSubmitError: a record is missing, or cannot be read.
    """
    reader = _Reader(store, batch.batch_id, unsaved)
    records: Records = {}
    for group in range(-(-batch.opened // SUMMARIES)):
        records |= reader.summaries(group)
    for number in range(batch.opened):
        if number not in records:
            records[number] = reader.segment(number)
    return records


@dataclass(frozen=True)
class _Reader:
    store: Store
    batch_id: str
    unsaved: Mapping[str, Any]

    def summaries(self, group: int) -> dict[int, Summary]:
        found: dict[int, Summary] = {}
        for stored in self._copies(group_key(self.batch_id, group)):
            try:
                found |= {int(number): Summary(**summary) for number, summary in stored.items()}
            except (TypeError, ValueError, AttributeError):
                raise unreadable(stored, BATCH_RECOVERY) from None
        return found

    def segment(self, number: int) -> SegmentRecord:
        copies = [_record(stored) for stored in self._copies(segment_key(self.batch_id, number))]
        if not copies:
            raise _lost(f"of segment {number}")
        record = copies[0]
        for copy in copies[1:]:
            record.entries = [merged(*pair) for pair in zip(record.entries, copy.entries, strict=True)]
            record.chunks = max(record.chunks, copy.chunks)
        for chunk in range(record.chunks):
            if not self._read_chunk(number, record, chunk):
                raise _lost(f"of results in segment {number}")
        # A try may have died just before it counted what it wrote.
        while record.is_ambiguous and self._read_chunk(number, record, record.chunks):
            record.chunks += 1
        return record

    def _read_chunk(self, number: int, record: SegmentRecord, chunk: int) -> bool:
        """Read some results into the record; whether there are any."""
        results = self._copies(chunk_key(self.batch_id, number, chunk))
        if not results:
            return False
        try:
            record.results |= {int(row): RowResult(**settled) for row, settled in results[0].items()}
        except (TypeError, ValueError, AttributeError):
            raise unreadable(results[0], BATCH_RECOVERY) from None
        return True

    def _copies(self, key: str) -> list[Any]:
        return [copy for copy in (self.store.get(key), self.unsaved.get(key)) if copy is not None]


def _record(stored: Any) -> SegmentRecord:
    try:
        record = SegmentRecord(stored["entries"], chunks=stored["chunks"])
    except (TypeError, KeyError):
        raise unreadable(stored, BATCH_RECOVERY) from None
    entries, chunks = record.entries, record.chunks
    if not isinstance(entries, list) or not all(entry is None or isinstance(entry, str) for entry in entries):
        raise unreadable(stored, BATCH_RECOVERY)
    if not isinstance(chunks, int):
        raise unreadable(stored, BATCH_RECOVERY)
    return record


def _lost(what: str) -> AmbiguousSubmitError:
    """Airflow's SDK turns each 404 that looks like one of its own into "there is no such key"."""
    return AmbiguousSubmitError(
        f"the record {what}, which an earlier try wrote to the task's state store, is not there: what was "
        f"paid for is not known. Clear the task to read it again. {BATCH_RECOVERY}"
    )

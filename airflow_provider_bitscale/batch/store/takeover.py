"""How a try begins: what earlier tries left is put together from all places where they left it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from airflow_provider_bitscale.batch.row_result import UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY, BATCH_RECOVERY, BatchRecord
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.segment_records import (
    ANNOUNCED,
    Records,
    SegmentRecord,
    Summary,
    chunk_key,
    read_records,
)
from airflow_provider_bitscale.batch.store.sent_log import LAST_ANSWERS_SECONDS, SentLog, SentLogs
from airflow_provider_bitscale.batch.store.sent_rows import SentRows
from airflow_provider_bitscale.batch.store.unsaved_changes import UnsavedChanges
from airflow_provider_bitscale.batch.table.survey import Segment
from airflow_provider_bitscale.batch.table.writers import ERROR, RUN_ID
from airflow_provider_bitscale.runs.state_store import Store, unreadable

_WAIT_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Begun:
    """A try that may submit rows.

    :param records: what earlier tries left, by number of the segment.
    :param sent_log: of this try.
    """

    token: str
    journal: Journal
    records: Records
    sent_log: SentLog


def forget(batch: BatchRecord, sent_logs: SentLogs, unsaved: UnsavedChanges) -> None:
    """Remove what the tries of a collected batch left beside the store. Never raises."""
    try:
        sent_logs.remove(batch.tries)
        for token in batch.tries:
            unsaved.remove(token)
    except Exception as problem:
        log.warning("What the tries of batch %s left could not be removed: %s", batch.batch_id, problem)


def collected_records(segments: Iterable[Segment]) -> dict[int, SegmentRecord]:
    """Return what an earlier try would have left of these rows: each has a run, or is unknown for good."""
    return {segment.number: _record(segment) for segment in segments}


def _record(segment: Segment) -> SegmentRecord:
    run_ids = [row.fields[RUN_ID] for row in segment.rows]
    without = [position for position, run_id in enumerate(run_ids) if run_id is None]
    return SegmentRecord(
        [ANNOUNCED if run_id is None else str(run_id) for run_id in run_ids],
        {position: RowResult(UNKNOWN, error=segment.rows[position].fields[ERROR]) for position in without},
    )


def begin(
    store: Store,
    batch: BatchRecord,
    segment_size: int,
    known: Mapping[int, SegmentRecord],
    sent_logs: SentLogs,
    unsaved: UnsavedChanges,
) -> Begun:
    """Take over from earlier tries, and make that durable.

    :param known: what was known of the rows of segments before the first try.
    :raises AmbiguousSubmitError: a record of an earlier try is missing, or cannot be read.
    """
    # First: from here on, a try that still runs though it was replaced cannot send.
    sent = sent_logs.take_over(batch.tries)
    left = unsaved.find(batch.tries[-1]) if batch.tries else {}
    reading = partial(_read, store, batch, segment_size, known, sent)
    records, changed = reading(left)
    if not left and not sent.complete and _any_ambiguous(records):
        left = _wait_for(unsaved, batch.tries[-1])
        if left:
            records, changed = reading(left)
    journal = Journal(store, _with_opened(batch, left), records)
    journal.changed(changed, _results(batch, records, left))
    token = secrets.token_hex(4)
    journal.begin(token)
    sent_log = sent_logs.begin(token)
    try:
        journal.write(journal.changes())
    except BaseException:
        sent_log.close()
        raise
    journal.written()
    if left:
        unsaved.remove(batch.tries[-1])
    return Begun(token, journal, records, sent_log)


def _read(
    store: Store,
    batch: BatchRecord,
    segment_size: int,
    known: Mapping[int, SegmentRecord],
    sent: SentRows,
    left: Mapping[str, Any],
) -> tuple[Records, Records]:
    """Return what earlier tries left, and what of it differs from what is in the store."""
    batch = _with_opened(batch, left)
    if batch.opened:
        log.info("Reading what earlier tries left of %d segments from the task's state store", batch.opened)
    records: Records = {**known, **read_records(store, batch, left)}
    changed = dict(records) if left else {}
    for number, record in records.items():
        if isinstance(record, Summary):
            continue
        if number in known:
            record.results = {**known[number].results, **record.results}
        entries = [
            entry if position in record.results else sent.entry(number * segment_size + position, entry)
            for position, entry in enumerate(record.entries)
        ]
        if entries != record.entries:
            record.entries = entries
            changed[number] = record
    return records, changed


def _any_ambiguous(records: Records) -> bool:
    return any(isinstance(record, SegmentRecord) and record.is_ambiguous for record in records.values())


def _wait_for(unsaved: UnsavedChanges, token: str) -> dict[str, Any]:
    """Return what the last try leaves, which may be about to end on another machine."""
    until = time.monotonic() + LAST_ANSWERS_SECONDS
    left: dict[str, Any] = {}
    if unsaved.is_kept:
        log.info("Waiting %.0f s for what the earlier try may still leave", LAST_ANSWERS_SECONDS)
        while not left and time.monotonic() < until:
            time.sleep(_WAIT_SECONDS)
            left = unsaved.find(token)
    return left


def _with_opened(batch: BatchRecord, left: Mapping[str, Any]) -> BatchRecord:
    if (kept := left.get(BATCH_KEY)) is None:
        return batch
    try:
        return replace(batch, opened=max(batch.opened, int(kept["opened"])))
    except (TypeError, ValueError, KeyError):
        raise unreadable(kept, BATCH_RECOVERY) from None


def _results(batch: BatchRecord, records: Records, left: Mapping[str, Any]) -> dict[str, Any]:
    """Those among what is left that belong to segments which are still open."""
    keys = (
        chunk_key(batch.batch_id, number, chunk)
        for number, record in records.items()
        if isinstance(record, SegmentRecord)
        for chunk in range(record.chunks)
    )
    return {key: left[key] for key in keys if key in left}

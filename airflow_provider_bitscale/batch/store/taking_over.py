"""How a try begins: what earlier tries left is put together from all places where they left it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from airflow_provider_bitscale.batch.store.evidence import Evidence
from airflow_provider_bitscale.batch.store.head import KEY, Head, unreadable
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.records import (
    Records,
    SegmentRecord,
    Summary,
    chunk_key,
    read_records,
)
from airflow_provider_bitscale.batch.store.sent_log import LAST_ANSWERS_SECONDS, SentLog, SentLogs
from airflow_provider_bitscale.batch.store.unsaved import Unsaved
from airflow_provider_bitscale.runs.run_record import Store

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


def forget(head: Head, sent_logs: SentLogs, unsaved: Unsaved) -> None:
    """The batch is collected: what its tries left beside the store is needed no more. Never raises."""
    try:
        sent_logs.remove(head.tries)
        for token in head.tries:
            unsaved.remove(token)
    except Exception as problem:
        log.warning("What the tries of batch %s left could not be removed: %s", head.batch_id, problem)


def begin(
    store: Store,
    head: Head,
    segment_size: int,
    known: Mapping[int, SegmentRecord],
    sent_logs: SentLogs,
    unsaved: Unsaved,
) -> Begun:
    """Take over from earlier tries, and make that durable.

    :param known: what was known of the rows of segments before the first try.
    :raises AmbiguousSubmitError: a record of an earlier try is missing, or cannot be read.
    """
    # First of all: a try that still runs, though it was replaced, sends nothing more from here on.
    evidence = sent_logs.take_over(head.tries)
    left = unsaved.find(head.tries[-1]) if head.tries else {}
    reading = partial(_read, store, head, segment_size, known, evidence)
    records, changed = reading(left)
    if not left and not evidence.complete and _in_doubt(records):
        left = _wait_for(unsaved, head.tries[-1])
        if left:
            records, changed = reading(left)
    journal = Journal(store, _with_opened(head, left), records)
    journal.changed(changed, _results(head, records, left))
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
        unsaved.remove(head.tries[-1])
    return Begun(token, journal, records, sent_log)


def _read(
    store: Store,
    head: Head,
    segment_size: int,
    known: Mapping[int, SegmentRecord],
    evidence: Evidence,
    left: Mapping[str, Any],
) -> tuple[Records, Records]:
    """What earlier tries left, and what of it differs from what is in the store."""
    head = _with_opened(head, left)
    if head.opened:
        log.info("Reading what earlier tries left of %d segments from the task's state store", head.opened)
    records: Records = {**known, **read_records(store, head, left)}
    changed = dict(records) if left else {}
    for number, record in records.items():
        if isinstance(record, Summary):
            continue
        if number in known:
            record.results = {**known[number].results, **record.results}
        entries = [
            entry if position in record.results else evidence.entry(number * segment_size + position, entry)
            for position, entry in enumerate(record.entries)
        ]
        if entries != record.entries:
            record.entries = entries
            changed[number] = record
    return records, changed


def _in_doubt(records: Records) -> bool:
    return any(isinstance(record, SegmentRecord) and record.has_doubts for record in records.values())


def _wait_for(unsaved: Unsaved, token: str) -> dict[str, Any]:
    """What the last try leaves, which may be about to end on another machine."""
    until = time.monotonic() + LAST_ANSWERS_SECONDS
    left: dict[str, Any] = {}
    if unsaved.is_kept:
        log.info("Waiting %.0f s for what the earlier try may still leave", LAST_ANSWERS_SECONDS)
        while not left and time.monotonic() < until:
            time.sleep(_WAIT_SECONDS)
            left = unsaved.find(token)
    return left


def _with_opened(head: Head, left: Mapping[str, Any]) -> Head:
    if (kept := left.get(KEY)) is None:
        return head
    try:
        return replace(head, opened=max(head.opened, int(kept["opened"])))
    except (TypeError, ValueError, KeyError):
        raise unreadable(kept) from None


def _results(head: Head, records: Records, left: Mapping[str, Any]) -> dict[str, Any]:
    """Those among what is left that belong to segments which are still open."""
    keys = (
        chunk_key(head.batch_id, number, chunk)
        for number, record in records.items()
        if isinstance(record, SegmentRecord)
        for chunk in range(record.chunks)
    )
    return {key: left[key] for key in keys if key in left}

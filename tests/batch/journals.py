"""Journals over a store that keeps text only, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, RowResult
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY, BatchRecord, read_batch
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.segment_records import (
    ANNOUNCED,
    Records,
    SegmentRecord,
    Summary,
    read_records,
)
from airflow_provider_bitscale.runs.resume import Try
from tests.support.json_store import JsonStore

BATCH = BatchRecord("b1", "print", Try(2, 1, 2, 0), 1000.5, "s3://bucket/out", "jsonl", 0, [])
SUMMARY = Summary("s3://bucket/out/b1-part-00000.jsonl", {SUCCEEDED: 9, FAILED: 1}, 27.5, 1)
FOUND = RowResult(SUCCEEDED, "run_1", 9, outputs={"Email": "jané@acme.com", "Tags": ["a", 1], "Phone": None})


def save(journal: Journal) -> None:
    """Write what has changed."""
    journal.write(journal.changes())
    journal.written()


def read(store: JsonStore, unsaved: dict[str, Any] | None = None) -> Records:
    """What a later try finds."""
    return read_records(store, read_batch(store) or BATCH, unsaved or {})


def opened(store: JsonStore, *rows: int) -> Journal:
    """A journal with open segments of so many rows."""
    journal = Journal(store, BATCH)
    for number, count in enumerate(rows):
        journal.open(number, SegmentRecord([None] * count))
    return journal


def announce(journal: Journal, number: int, rows: Iterable[int]) -> None:
    """These rows are about to be submitted."""
    for row in rows:
        journal.note(number, row, ANNOUNCED)


def keys(store: JsonStore) -> set[str]:
    """All but that of the batch as a whole."""
    return {key.removeprefix(f"{BATCH_KEY}_b1_") for key in store.texts if key != BATCH_KEY}

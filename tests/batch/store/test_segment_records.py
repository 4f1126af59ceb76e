"""How the records of earlier tries are read: what is lost or garbled is not the same as none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import AmbiguousSubmitError
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, Entry, merged, read_records
from tests.batch.journals import BATCH, FOUND, SUMMARY, announce, opened, read, save
from tests.support.json_store import JsonStore

UNREADABLE_SEGMENTS: dict[str, dict[str, Any]] = {
    "text": {"00000": "text"},
    "a number": {"00000": 7},
    "a list": {"00000": ["entries"]},
    "no entries": {"00000": {"part": None}},
    "no chunks": {"00000": {"entries": []}},
    "chunks are no number": {"00000": {"entries": [], "chunks": "1"}},
    "entries are no list": {"00000": {"entries": {"0": "run_1"}, "chunks": 0}},
    "entries are none": {"00000": {"entries": None, "chunks": 0}},
    "an entry is no text": {"00000": {"entries": [None, 7], "chunks": 0}},
    "results are a list": {"00000": {"entries": [None], "chunks": 1}, "00000_0000": ["x"]},
    "results are of no row": {
        "00000": {"entries": [None], "chunks": 1},
        "00000_0000": {"first": {"status": "failed"}},
    },
    "a result is a text": {"00000": {"entries": [None], "chunks": 1}, "00000_0000": {"0": "failed"}},
    "a result has no status": {"00000": {"entries": [None], "chunks": 1}, "00000_0000": {"0": {}}},
    "summaries are a text": {"finished_0000": "text"},
    "a summary is a list": {"finished_0000": {"0": []}},
    "a summary of no segment": {"finished_0000": {"x": {}}},
    "a summary of the future": {
        "finished_0000": {"0": {"part": None, "counts": {}, "credits": 0, "untold": 0, "more": 1}}
    },
}


@pytest.mark.parametrize("stored", UNREADABLE_SEGMENTS.values(), ids=UNREADABLE_SEGMENTS.keys())
def test_a_segment_that_cannot_be_read_is_not_the_same_as_none(stored: dict[str, Any]) -> None:
    store = JsonStore(**{f"{BATCH_KEY}_b1_{suffix}": value for suffix, value in stored.items()})
    with pytest.raises(AmbiguousSubmitError, match="cannot be read"):
        read_records(store, replace(BATCH, opened=1), {})


@pytest.mark.parametrize("lost", ["00001", "00000_0000", "finished_0000"])
def test_a_record_that_is_lost_is_not_the_same_as_none(lost: str) -> None:
    store = JsonStore()
    journal = opened(store, 2, 2, 2)
    journal.add_results(0, {0: FOUND})
    announce(journal, 1, [0])
    journal.finish(2, SUMMARY)
    save(journal)
    read(store)
    store.delete(f"{BATCH_KEY}_b1_{lost}")
    with pytest.raises(AmbiguousSubmitError, match=f"not there.*delete the key '{BATCH_KEY}'"):
        read(store)


# Two copies of a row's entry when no try submits any more, and what is known then.
COPIES: list[tuple[Entry, Entry, Entry]] = [
    (None, None, None),
    (None, ANNOUNCED, None),
    (ANNOUNCED, ANNOUNCED, ANNOUNCED),
    (ANNOUNCED, "run_1", "run_1"),
    (None, "run_1", "run_1"),
    ("run_1", "run_1", "run_1"),
]


@pytest.mark.parametrize(("one", "other", "known"), COPIES)
def test_which_copy_is_newer_does_not_matter(one: Entry, other: Entry, known: Entry) -> None:
    assert merged(one, other) == merged(other, one) == known

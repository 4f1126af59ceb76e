"""What survives a crash, over a store that keeps text only."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import AmbiguousSubmitError, InvalidRequestError
from airflow_provider_bitscale.batch.journal import (
    INTENT,
    KEY,
    Head,
    Journal,
    SegmentRecord,
    Summary,
    continues,
    read_head,
    write_head,
)
from airflow_provider_bitscale.batch.options import MAX_SEGMENT_SIZE
from airflow_provider_bitscale.batch.statuses import FAILED, SUCCEEDED, Settled
from tests.runs.test_ledger import JsonStore

HEAD = Head("b1", "print", 2, 1000.5, "s3://bucket/out", "jsonl")
SUMMARY = Summary("s3://bucket/out/b1-part-00003.jsonl", {SUCCEEDED: 9, FAILED: 1}, 27.5, 1)
FOUND = Settled(SUCCEEDED, "run_1", 9, outputs={"Email": "jané@acme.com", "Tags": ["a", 1], "Phone": None})
# Airflow warns at 64 KB.
MOST_BYTES = 64_000


class FailingStore(JsonStore):
    """A store that cannot be written for a while."""

    fails = False

    def set(self, key: str, value: Any) -> None:
        if self.fails:
            raise OSError("no route to the API server")
        super().set(key, value)


def save(journal: Journal) -> None:
    """Write what has changed."""
    if (changes := journal.changes()) is not None:
        journal.write(changes)


def opened(store: JsonStore, rows: int, number: int = 3) -> Journal:
    """A journal with one open segment."""
    journal = Journal(store, "b1")
    journal.open(number, SegmentRecord([None] * rows))
    return journal


@pytest.mark.parametrize("head", [HEAD, replace(HEAD, collected=True, output_path=None)])
def test_a_head_survives_as_json(head: Head) -> None:
    store = JsonStore()
    assert read_head(store) is None
    write_head(store, head)
    assert read_head(store) == head


UNREADABLE_HEADS: list[Any] = ["text", 7, [], ["a"], {}, {"batch_id": "b1"}, {"a field of the future": 1}]


@pytest.mark.parametrize("stored", UNREADABLE_HEADS, ids=str)
def test_a_head_that_cannot_be_read_is_not_the_same_as_none(stored: Any) -> None:
    with pytest.raises(AmbiguousSubmitError, match=f"cannot be read.*delete the key '{KEY}'"):
        read_head(JsonStore(**{KEY: stored}))


# An earlier try's head; then whether a try goes on: for the same wish and for another one (None: refused),
# without a clear and after one.
CONTINUES: dict[str, tuple[Head | None, bool | None, bool | None, bool | None, bool | None]] = {
    "none": (None, False, False, False, False),
    "unfinished": (HEAD, True, True, None, None),
    "collected": (replace(HEAD, collected=True), True, False, False, False),
}


@pytest.mark.parametrize(
    ("head", "retry", "cleared", "changed", "changed_and_cleared"), CONTINUES.values(), ids=CONTINUES.keys()
)
def test_whether_a_try_goes_on(
    head: Head | None,
    retry: bool | None,
    cleared: bool | None,
    changed: bool | None,
    changed_and_cleared: bool | None,
) -> None:
    for fingerprint, generation, expected in (
        ("print", 2, retry),
        ("print", 3, cleared),
        ("other", 2, changed),
        ("other", 3, changed_and_cleared),
    ):
        if expected is None:
            with pytest.raises(InvalidRequestError, match=f"Change it back.*delete the key '{KEY}'"):
                continues(head, fingerprint, generation)
        else:
            assert continues(head, fingerprint, generation) is expected


def test_the_life_of_a_segment() -> None:
    store = JsonStore()
    journal = opened(store, 4)
    assert journal.changes() is None
    assert journal.read(3) is None
    journal.announce(3, [0, 1, 3])
    assert journal.read(3) is None, "nothing is durable before it is written"
    save(journal)
    assert Journal(store, "b1").read(3) == SegmentRecord([INTENT, INTENT, None, INTENT])
    journal.accepted(3, 1, "run_1")
    journal.retract(3, [3])
    save(journal)
    assert journal.changes() is None, "what is written is not written again"
    assert Journal(store, "b1").read(3) == SegmentRecord([INTENT, "run_1", None, None])
    journal.finish(3, SUMMARY)
    save(journal)
    assert Journal(store, "b1").read(3) == SUMMARY
    assert Journal(store, "b1").read(2) is None
    assert Journal(store, "b2").read(3) is None, "another batch has nothing to do with it"


def test_what_was_answered_at_once_is_kept_whole_and_dropped_at_the_end() -> None:
    store = JsonStore()
    journal = opened(store, 4)
    journal.announce(3, range(4))
    journal.answered(3, {2: FOUND})
    save(journal)
    later = Journal(store, "b1")
    for _ in range(2):
        assert later.read(3) == SegmentRecord([INTENT] * 4, {2: FOUND})
    later.open(3, SegmentRecord([INTENT] * 4, {2: FOUND}))
    failed = Settled(FAILED, None, 0, "no luck")
    later.answered(3, {0: failed})
    later.answered(3, {1: FOUND})
    save(later)
    last = Journal(store, "b1")
    assert last.read(3) == SegmentRecord([INTENT] * 4, {0: failed, 1: FOUND, 2: FOUND})
    last.finish(3, SUMMARY)
    save(last)
    assert list(store.texts) == [f"{KEY}_b1_00003"]


def test_what_was_answered_in_the_moment_a_segment_is_finished_leaves_nothing_behind() -> None:
    store = JsonStore()
    journal = opened(store, 2)
    journal.answered(3, {0: FOUND})
    journal.finish(3, SUMMARY)
    save(journal)
    journal.answered(3, {1: FOUND})
    save(journal)
    assert list(store.texts) == [f"{KEY}_b1_00003"]


# The length of an output, in characters.
LENGTHS = {"nothing": (0, 0), "short": (10, 200), "long": (30_000, 45_000), "all sorts": (0, 45_000)}


@pytest.mark.parametrize(("least", "most"), LENGTHS.values(), ids=LENGTHS.keys())
def test_no_value_of_results_is_too_large(least: int, most: int) -> None:
    rng = random.Random(0)
    rows = MAX_SEGMENT_SIZE if most < 1000 else 60
    store = JsonStore()
    journal = opened(store, rows)
    journal.announce(3, range(rows))
    results = {
        row: Settled(SUCCEEDED, str(uuid.UUID(int=row)), 9, outputs={"Note": "x" * rng.randint(least, most)})
        for row in range(rows)
    }
    journal.answered(3, results)
    save(journal)
    assert max(map(len, store.texts.values())) < MOST_BYTES
    assert Journal(store, "b1").read(3) == SegmentRecord([INTENT] * rows, results)


def test_a_segment_of_the_largest_size_is_not_too_large() -> None:
    store = JsonStore()
    journal = opened(store, MAX_SEGMENT_SIZE, 99_999)
    for row in range(MAX_SEGMENT_SIZE):
        journal.accepted(99_999, row, str(uuid.UUID(int=row)))
    save(journal)
    [text] = store.texts.values()
    assert len(text) < MOST_BYTES
    [key] = store.texts
    assert "/" not in key


UNREADABLE_SEGMENTS: dict[str, dict[str, Any]] = {
    "text": {"": "text"},
    "a number": {"": 7},
    "a list": {"": ["entries"]},
    "neither a record nor a summary": {"": {"part": None}},
    "a field of the future": {"": {"part": None, "counts": {}, "credits": 0, "untold": 0, "more": 1}},
    "entries are no list": {"": {"entries": {"0": "run_1"}}},
    "entries are none": {"": {"entries": None}},
    "an entry is no text": {"": {"entries": [None, 7]}},
    "results are a list": {"": {"entries": [None]}, "_0000": ["x"]},
    "results are of no row": {"": {"entries": [None]}, "_0000": {"first": {"status": "failed"}}},
    "a result is a text": {"": {"entries": [None]}, "_0000": {"0": "failed"}},
    "a result has no status": {"": {"entries": [None]}, "_0000": {"0": {}}},
}


@pytest.mark.parametrize("stored", UNREADABLE_SEGMENTS.values(), ids=UNREADABLE_SEGMENTS.keys())
def test_a_segment_that_cannot_be_read_is_not_the_same_as_none(stored: dict[str, Any]) -> None:
    store = JsonStore(**{f"{KEY}_b1_00003{suffix}": value for suffix, value in stored.items()})
    with pytest.raises(AmbiguousSubmitError, match="cannot be read"):
        Journal(store, "b1").read(3)


def test_after_a_write_that_failed_what_changed_since_goes_before() -> None:
    store = FailingStore()
    journal = opened(store, 3)
    journal.open(4, SegmentRecord([None]))
    journal.announce(3, [0, 1])
    journal.announce(4, [0])
    changes = journal.changes()
    assert changes is not None
    store.fails = True
    with pytest.raises(OSError, match="no route"):
        journal.write(changes)
    journal.accepted(3, 0, "run_0")
    journal.restore(changes)
    store.fails = False
    save(journal)
    assert journal.read(3) == SegmentRecord(["run_0", INTENT, None])
    assert journal.read(4) == SegmentRecord([INTENT])
    journal.restore(None)
    assert journal.changes() is None


def test_a_segment_finished_while_its_write_failed_is_finished() -> None:
    store = FailingStore()
    journal = opened(store, 1)
    journal.announce(3, [0])
    journal.answered(3, {0: FOUND})
    changes = journal.changes()
    journal.finish(3, SUMMARY)
    journal.restore(changes)
    save(journal)
    assert journal.read(3) == SUMMARY
    assert list(store.texts) == [f"{KEY}_b1_00003"]


def test_keys_whose_drop_failed_are_dropped_later() -> None:
    store = JsonStore()
    journal = opened(store, 1)
    journal.answered(3, {0: FOUND})
    save(journal)
    journal.finish(3, SUMMARY)
    journal.restore(journal.changes())
    save(journal)
    assert list(store.texts) == [f"{KEY}_b1_00003"]


def test_changes_stay_as_they_are_while_rows_go_on_changing() -> None:
    journal = opened(JsonStore(), 2)
    journal.announce(3, [0])
    changes = journal.changes()
    assert changes is not None
    before = json.dumps(changes)
    journal.accepted(3, 0, "run_0")
    journal.announce(3, [1])
    assert json.dumps(changes) == before

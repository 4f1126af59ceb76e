"""What survives a crash, over a store that keeps text only."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale.batch.options import MAX_SEGMENT_SIZE
from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, RowResult
from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY, read_batch
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SUMMARIES, SegmentRecord, Summary
from tests.batch.journals import BATCH, FOUND, SUMMARY, announce, keys, opened, read, save
from tests.support.json_store import JsonStore

# Airflow warns at 64 KB.
MOST_BYTES = 64_000


class FailingStore(JsonStore):
    """A store that cannot be written for a while."""

    fails = False

    def set(self, key: str, value: Any) -> None:
        if self.fails:
            raise OSError("no route to the API server")
        super().set(key, value)


def test_the_life_of_a_segment() -> None:
    store = JsonStore()
    journal = opened(store, 4)
    announce(journal, 0, [0, 1, 3])
    assert read(store) == {}, "nothing is durable before it is written"
    save(journal)
    assert read(store) == {0: SegmentRecord([ANNOUNCED, ANNOUNCED, None, ANNOUNCED])}
    journal.note(0, 1, "run_1")
    journal.note(0, 3, None)
    save(journal)
    assert not journal.changes(), "what is written is not written again"
    assert read(store) == {0: SegmentRecord([ANNOUNCED, "run_1", None, None])}
    journal.finish(0, SUMMARY)
    save(journal)
    assert read(store) == {0: SUMMARY}
    assert keys(store) == {"finished_0000"}


def test_batches_do_not_read_each_others() -> None:
    store = JsonStore()
    save(opened(store, 4))
    other = Journal(store, replace(BATCH, batch_id="b2"))
    other.open(0, SegmentRecord([None]))
    announce(other, 0, [0])
    save(other)
    assert read(store) == {0: SegmentRecord([ANNOUNCED])}
    assert len(keys(store)) == 2


def test_what_is_counted_is_written_before_the_count_and_dropped_after_all() -> None:
    class Ordered(JsonStore):
        def __init__(self) -> None:
            super().__init__()
            self.order: list[str] = []

        def set(self, key: str, value: Any) -> None:
            self.order.append(key.removeprefix(f"{BATCH_KEY}_b1_"))
            super().set(key, value)

        def delete(self, key: str) -> None:
            self.order.append(f"drop {key.removeprefix(f'{BATCH_KEY}_b1_')}")
            super().delete(key)

    store = Ordered()
    journal = opened(store, 1, 2)
    journal.add_results(1, {0: FOUND})
    journal.finish(0, SUMMARY)
    save(journal)
    assert store.order == ["00001_0000", "00001", "finished_0000", BATCH_KEY, "drop 00000"]


def test_a_later_try_goes_on_with_what_was_read() -> None:
    store = JsonStore()
    first = opened(store, 2, 2, 2)
    first.finish(1, SUMMARY)
    first.begin("t1")
    save(first)
    batch = read_batch(store)
    assert batch is not None
    assert (batch.opened, batch.tries) == (3, ["t1"])
    second = Journal(store, batch, read(store))
    second.open(0, SegmentRecord(["run_1", None]))
    assert not second.changes(), "what was opened before is counted already"
    second.finish(0, SUMMARY)
    save(second)
    assert read(store) == {0: SUMMARY, 1: SUMMARY, 2: SegmentRecord([None, None])}


def test_what_was_answered_at_once_is_kept_whole_and_dropped_at_the_end() -> None:
    store = JsonStore()
    journal = opened(store, 4)
    announce(journal, 0, range(4))
    journal.add_results(0, {2: FOUND})
    save(journal)
    record = read(store)[0]
    assert record == SegmentRecord([ANNOUNCED] * 4, {2: FOUND}, chunks=1)
    assert isinstance(record, SegmentRecord)
    later = Journal(store, read_batch(store) or BATCH)
    later.open(0, record)
    failed = RowResult(FAILED, None, 0, "no luck")
    later.add_results(0, {0: failed})
    later.add_results(0, {1: FOUND})
    save(later)
    record = read(store)[0]
    assert record == SegmentRecord([ANNOUNCED] * 4, {0: failed, 1: FOUND, 2: FOUND}, chunks=3)
    last = Journal(store, read_batch(store) or BATCH, {0: record})
    last.finish(0, SUMMARY)
    save(last)
    assert keys(store) == {"finished_0000"}


def test_what_was_answered_in_the_moment_a_segment_is_finished_leaves_nothing_behind() -> None:
    store = JsonStore()
    journal = opened(store, 2)
    journal.add_results(0, {0: FOUND})
    journal.finish(0, SUMMARY)
    save(journal)
    journal.add_results(0, {1: FOUND})
    save(journal)
    assert keys(store) == {"finished_0000"}


# The length of an output, in characters.
LENGTHS = {"nothing": (0, 0), "short": (10, 200), "long": (30_000, 45_000), "all sorts": (0, 45_000)}


@pytest.mark.parametrize(("least", "most"), LENGTHS.values(), ids=LENGTHS.keys())
def test_no_value_of_results_is_too_large(least: int, most: int) -> None:
    rng = random.Random(0)
    rows = MAX_SEGMENT_SIZE if most < 1000 else 60
    store = JsonStore()
    journal = opened(store, rows)
    announce(journal, 0, range(rows))
    results = {
        row: RowResult(
            SUCCEEDED, str(uuid.UUID(int=row)), 9, outputs={"Note": "x" * rng.randint(least, most)}
        )
        for row in range(rows)
    }
    journal.add_results(0, results)
    save(journal)
    assert max(map(len, store.texts.values())) < MOST_BYTES
    record = read(store)[0]
    assert isinstance(record, SegmentRecord)
    assert (record.entries, record.results) == ([ANNOUNCED] * rows, results)


def test_a_segment_of_the_largest_size_is_not_too_large() -> None:
    store = JsonStore()
    journal = Journal(store, BATCH)
    journal.open(99_999, SegmentRecord([None] * MAX_SEGMENT_SIZE))
    for row in range(MAX_SEGMENT_SIZE):
        journal.note(99_999, row, str(uuid.UUID(int=row)))
    save(journal)
    assert max(map(len, store.texts.values())) < MOST_BYTES
    assert not any("/" in key for key in store.texts)


def test_summaries_share_values_that_are_not_too_large() -> None:
    store = JsonStore()
    journal = opened(store, *[1] * (2 * SUMMARIES + 1))
    summary = Summary(
        "s3://" + "x" * 1_000, dict.fromkeys(("succeeded", "failed", "unknown"), 999), 9_999.5, 999
    )
    for number in range(2 * SUMMARIES + 1):
        journal.finish(number, summary)
    save(journal)
    assert keys(store) == {"finished_0000", "finished_0001", "finished_0002"}
    assert max(map(len, store.texts.values())) < MOST_BYTES
    assert read(store) == dict.fromkeys(range(2 * SUMMARIES + 1), summary)


def test_what_could_not_be_written_is_read_with_what_is_in_the_store() -> None:
    store = JsonStore()
    journal = opened(store, 4, 1)
    announce(journal, 0, range(4))
    save(journal)
    journal.note(0, 0, "run_0")
    journal.note(0, 1, None)
    journal.add_results(0, {3: FOUND})
    journal.finish(1, SUMMARY)
    unsaved = journal.unsaved()
    found = read(store, unsaved.values("b1"))
    assert found == {
        0: SegmentRecord(["run_0", None, ANNOUNCED, ANNOUNCED], {3: FOUND}, chunks=1),
        1: SUMMARY,
    }
    assert unsaved.accepted == {(0, 0): "run_0"}
    save(journal)
    assert read(store, unsaved.values("b1")) == found, "if the store took it after all"


def test_what_is_just_being_written_may_be_unsaved() -> None:
    journal = opened(JsonStore(), 2)
    journal.note(0, 0, "run_0")
    journal.changes()
    journal.note(0, 1, "run_1")
    unsaved = journal.unsaved()
    assert unsaved.accepted == {(0, 0): "run_0", (0, 1): "run_1"}
    assert unsaved.segments == {0: {"entries": ["run_0", "run_1"], "chunks": 0}}
    journal.written()
    assert journal.unsaved().accepted == {(0, 1): "run_1"}


def test_after_a_write_that_failed_what_changed_since_goes_before() -> None:
    store = FailingStore()
    journal = opened(store, 3, 1)
    announce(journal, 0, [0, 1])
    announce(journal, 1, [0])
    changes = journal.changes()
    store.fails = True
    with pytest.raises(OSError, match="no route"):
        journal.write(changes)
    journal.note(0, 0, "run_0")
    store.fails = False
    save(journal)
    assert read(store) == {0: SegmentRecord(["run_0", ANNOUNCED, None]), 1: SegmentRecord([ANNOUNCED])}
    assert not journal.changes(), "all of it is durable"


def test_a_segment_finished_while_its_write_failed_is_finished() -> None:
    store = FailingStore()
    journal = opened(store, 1)
    announce(journal, 0, [0])
    journal.add_results(0, {0: FOUND})
    journal.changes()
    journal.finish(0, SUMMARY)
    save(journal)
    assert read(store) == {0: SUMMARY}
    assert keys(store) == {"finished_0000"}


def test_keys_whose_drop_failed_are_dropped_later() -> None:
    store = JsonStore()
    journal = opened(store, 1)
    journal.add_results(0, {0: FOUND})
    save(journal)
    journal.finish(0, SUMMARY)
    journal.changes()
    save(journal)
    assert keys(store) == {"finished_0000"}


def test_changes_stay_as_they_are_while_rows_go_on_changing() -> None:
    journal = opened(JsonStore(), 2)
    announce(journal, 0, [0])
    changes = journal.changes()
    before = json.dumps(changes.values("b1"))
    journal.note(0, 0, "run_0")
    announce(journal, 0, [1])
    assert json.dumps(changes.values("b1")) == before

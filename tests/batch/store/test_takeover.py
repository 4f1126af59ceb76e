"""How a try begins: with what earlier ones left in the state store, on the machine and beside the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError
from airflow_provider_bitscale.batch.row_result import SUCCEEDED, RowResult
from airflow_provider_bitscale.batch.store import takeover
from airflow_provider_bitscale.batch.store.batch_record import BatchRecord, read_batch, write_batch
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SegmentRecord, segment_key
from airflow_provider_bitscale.batch.store.sent_log import SentLogs, TakenOverError
from airflow_provider_bitscale.batch.store.takeover import Begun, begin, forget
from airflow_provider_bitscale.batch.store.unsaved_changes import UnsavedChanges
from tests.batch.journals import BATCH, FOUND, announce, save
from tests.support.json_store import JsonStore
from tests.support.memory_folder import MemoryFolder

ROWS = 3


class Task:
    """A batch of one segment of 3 rows, over all its tries.

    :param folder: where the log of this machine is.
    """

    def __init__(self, folder: Path) -> None:
        self.store = JsonStore()
        self.logs = SentLogs("b1", folder / "logs")
        self.folder = MemoryFolder()

    @property
    def unsaved(self) -> UnsavedChanges:
        return UnsavedChanges("b1", self.folder, ROWS)

    def begin(self, known: dict[int, SegmentRecord] | None = None) -> Begun:
        """The next try."""
        batch: BatchRecord = read_batch(self.store) or BATCH
        return begin(self.store, batch, ROWS, known or {}, self.logs, self.unsaved)

    def other_machine(self, folder: Path) -> None:
        """Whatever is on this machine's disk is not there."""
        self.logs = SentLogs("b1", folder / "elsewhere")


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setattr(takeover, "LAST_ANSWERS_SECONDS", 0.0)
    return Task(tmp_path)


def announced(task: Task) -> Begun:
    """A try that has announced all rows, and made that durable."""
    begun = task.begin()
    begun.journal.open(0, SegmentRecord([None] * ROWS))
    announce(begun.journal, 0, range(ROWS))
    save(begun.journal)
    return begun


def entries(begun: Begun) -> list[str | None]:
    record = begun.records[0]
    assert isinstance(record, SegmentRecord)
    return record.entries


def test_the_first_try_finds_nothing_and_writes_its_token_before_it_sends(task: Task) -> None:
    begun = task.begin()
    assert begun.records == {}
    stored = read_batch(task.store)
    assert stored is not None
    assert stored.tries == [begun.token]


def test_the_log_of_the_machine_says_what_became_of_announced_rows(task: Task) -> None:
    first = announced(task)
    first.sent_log.sending(0)
    first.sent_log.accepted(0, "run_0")
    first.sent_log.sending(1)
    first.sent_log.answered(1)
    second = task.begin()
    assert entries(second) == ["run_0", ANNOUNCED, None]
    with pytest.raises(TakenOverError):
        first.sent_log.sending(2)
    stored = task.store.get(segment_key("b1", 0))
    assert stored["entries"] == entries(second), "another machine knows it, too"


def test_without_the_log_announced_rows_stay_ambiguous(task: Task, tmp_path: Path) -> None:
    announced(task)
    task.other_machine(tmp_path)
    assert entries(task.begin()) == [ANNOUNCED] * ROWS


def test_what_the_store_did_not_take_is_read_beside_the_parts_and_removed(task: Task, tmp_path: Path) -> None:
    first = announced(task)
    first.journal.note(0, 0, "run_0")
    first.journal.add_results(0, {1: FOUND})
    task.unsaved.leave(first.token, first.journal.unsaved())
    task.other_machine(tmp_path)
    second = task.begin()
    record = second.records[0]
    assert isinstance(record, SegmentRecord)
    assert (record.entries[0], record.results) == ("run_0", {1: FOUND})
    assert task.folder.files == {}
    assert entries(task.begin())[0] == "run_0", "the state store has it now"


def test_a_file_that_comes_late_is_waited_for_where_rows_are_ambiguous(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = announced(task)
    first.journal.note(0, 0, "run_0")
    monkeypatch.setattr(takeover, "LAST_ANSWERS_SECONDS", 30.0)
    monkeypatch.setattr(
        "time.sleep", lambda seconds: task.unsaved.leave(first.token, first.journal.unsaved())
    )
    task.other_machine(tmp_path)
    assert entries(task.begin())[0] == "run_0"


def test_where_a_log_cannot_be_written_its_try_begins_all_the_same(task: Task, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    task.begin().sent_log.sending(0)


def test_a_store_that_refuses_the_token_keeps_the_try_from_beginning(task: Task) -> None:
    announced(task)
    batch = read_batch(task.store)

    class Closed(JsonStore):
        def set(self, key: str, value: object) -> None:
            raise OSError("away")

    closed = Closed()
    closed.texts = task.store.texts
    task.store = closed
    with pytest.raises(OSError, match="away"):
        begin(closed, batch or BATCH, ROWS, {}, task.logs, task.unsaved)


BROKEN: dict[str, Callable[[Task], None]] = {
    "a segment is lost": lambda task: task.store.delete(segment_key("b1", 0)),
    "a segment is something else": lambda task: task.store.set(segment_key("b1", 0), ["run_0"]),
}


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN.keys())
def test_a_record_that_is_lost_or_broken_is_never_taken_for_none(
    task: Task, breaks: Callable[[Task], None]
) -> None:
    announced(task)
    breaks(task)
    with pytest.raises(AmbiguousSubmitError, match="delete the key 'bitscale_batch'"):
        task.begin()


def test_rows_known_before_the_first_try_keep_their_runs_over_all_tries(task: Task) -> None:
    known = {0: SegmentRecord(["run_7", None, None], {1: RowResult(SUCCEEDED)})}
    first = task.begin(known)
    first.journal.open(0, known[0])
    save(first.journal)
    second = task.begin(known)
    record = second.records[0]
    assert isinstance(record, SegmentRecord)
    assert (record.entries[0], record.results) == ("run_7", {1: RowResult(SUCCEEDED)})


def test_what_a_collected_batch_left_is_removed_and_a_folder_that_fails_is_no_failure(task: Task) -> None:
    first = announced(task)
    task.unsaved.leave(first.token, first.journal.unsaved())
    first.journal.note(0, 0, "run_0")
    task.unsaved.leave(first.token, first.journal.unsaved())
    batch = read_batch(task.store)
    assert batch is not None
    assert task.folder.files
    forget(batch, task.logs, task.unsaved)
    assert task.folder.files == {}
    assert task.logs.take_over([first.token]).complete is False, "its log is gone"
    task.folder.problem = OSError("away")
    write_batch(task.store, replace(batch, collected=True))
    forget(batch, task.logs, task.unsaved)

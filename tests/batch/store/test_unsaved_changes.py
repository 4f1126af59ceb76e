"""Run ids that the state store did not take are in a file beside the parts, and in the log."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bitscale.batch.store.journal import Changes
from airflow_provider_bitscale.batch.store.unsaved_changes import UnsavedChanges
from tests.support.memory_folder import MemoryFolder

CHANGES = Changes(
    chunks={"bitscale_batch_b1_00001_0000": {"0": {}}},
    segments={1: {"entries": ["run_2", None], "chunks": 1}},
    accepted={(1, 0): "run_2"},
)
VALUES = {
    "bitscale_batch_b1_00001_0000": {"0": {}},
    "bitscale_batch_b1_00001": {"entries": ["run_2", None], "chunks": 1},
}


@pytest.fixture
def folder() -> MemoryFolder:
    return MemoryFolder()


def test_what_a_try_leaves_is_found_by_the_next_until_it_is_removed(folder: MemoryFolder) -> None:
    UnsavedChanges("b1", folder, 2).leave("t1", CHANGES)
    later = UnsavedChanges("b1", folder, 2)
    assert later.find("t1") == VALUES
    assert later.find("t2") == {}
    later.remove("t1")
    assert later.find("t1") == folder.files == {}


def test_run_ids_are_logged_once_with_their_rows(
    folder: MemoryFolder, caplog: pytest.LogCaptureFixture
) -> None:
    unsaved = UnsavedChanges("b1", folder, 2)
    unsaved.leave("t1", CHANGES)
    unsaved.leave("t1", Changes(accepted={(1, 0): "run_2", (1, 1): "run_3"}))
    told = [line for line in caplog.messages if "by row" in line]
    assert [line.rpartition("by row: ")[2] for line in told] == ["3: run_2", "4: run_3"]


@pytest.mark.parametrize("folder", [None, MemoryFolder()], ids=["no folder", "a folder that fails"])
def test_where_no_file_can_be_kept_the_log_has_the_ids(
    folder: MemoryFolder | None, caplog: pytest.LogCaptureFixture
) -> None:
    if folder is not None:
        folder.problem = OSError("full")
    UnsavedChanges("b1", folder, 2).leave("t1", CHANGES)
    assert "3: run_2" in caplog.text
    assert ("could not be kept: full" in caplog.text) is (folder is not None)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"values": 7}', "null"])
def test_a_file_that_cannot_be_read_is_nothing(text: str, folder: MemoryFolder) -> None:
    folder.files["unsaved-t1.json"] = text
    assert UnsavedChanges("b1", folder, 2).find("t1") == {}


def test_keys_of_another_batch_are_left_out(folder: MemoryFolder) -> None:
    folder.files["unsaved-t1.json"] = json.dumps(
        {"values": {**VALUES, "bitscale_batch": {"opened": 2}, "bitscale_batch_b2_00000": {}, "x": 1}}
    )
    assert UnsavedChanges("b1", folder, 2).find("t1") == {**VALUES, "bitscale_batch": {"opened": 2}}

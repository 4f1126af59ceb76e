"""Values and claims in files: there for their time, removed in the end."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book
from airflow_provider_bitscale.api.shared_state import file_backend
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.file_content import content_of_value
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.api.shared_state.conftest import Counts


def test_a_value_is_there_for_all_until_its_time_is_over(tmp_path: Path) -> None:
    first, second = FileBackend(str(tmp_path)), FileBackend(str(tmp_path))
    assert second.get("value") is None
    first.put("value", b"words", 60.0)
    assert second.get("value") == b"words"
    second.put("value", b"more", 60.0)
    assert first.get("value") == b"more"
    first.put("value", b"short-lived", 0.05)
    time.sleep(0.1)
    assert first.get("value") is None


def test_a_value_is_deleted(backend: FileBackend) -> None:
    backend.delete("value")
    backend.put("value", b"words", 60.0)
    backend.delete("value")
    assert backend.get("value") is None


def test_one_claims_a_name(tmp_path: Path) -> None:
    first, second = FileBackend(str(tmp_path)), FileBackend(str(tmp_path))
    assert first.claim("name", 60.0)
    assert not second.claim("name", 60.0)
    assert not first.claim("name", 60.0)
    assert first.get("name") is None, "a claim has no value"
    first.delete("name")
    assert second.claim("name", 0.05)
    time.sleep(0.1)
    assert first.claim("name", 60.0)


def test_what_is_too_long_is_not_kept(backend: FileBackend) -> None:
    backend.put("value", bytes(MAX_VALUE_BYTES), 60.0)
    assert backend.get("value") == bytes(MAX_VALUE_BYTES)
    backend.put("value", bytes(MAX_VALUE_BYTES + 1), 60.0)
    assert backend.get("value") is None


def test_values_are_private(backend: FileBackend, folder: Path) -> None:
    backend.put("value", b"words", 60.0)
    assert stat.S_IMODE((folder / "value.value").stat().st_mode) == 0o600


def as_dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def as_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: os.truncate(file, 5),
    "longer": lambda file: os.truncate(file, 5000),
    "huge": lambda file: os.truncate(file, 1 << 40),
    "of the future": lambda file: file.write_bytes(content_of_value(b"words", 60.0, time.time() + 3600)),
    "a dangling link": as_dangling_link,
    "a directory": as_directory,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_no_value_is_told_once_and_ignored(
    state: SharedState,
    folder: Path,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
) -> None:
    for times in (1, 2):
        state.ask(lambda backend: backend.put("value", b"words", 60.0))
        damage(folder / "value.value")
        assert state.ask(lambda backend: backend.get("value")) is None
        assert state.ask(lambda backend: backend.claim("value", 60.0)) is True
        assert len(counts.names) == times
    assert len(caplog.records) == 1


def test_nothing_piles_up(backend: FileBackend, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.apply("old limit", Book(0.0, 0.0))
    backend.apply("limit", Book(0.0, 0.0))
    [old_book] = folder.glob("old limit.*")
    os.utime(old_book, (0, time.time() - 2 * file_backend.KEEP_SECONDS))
    backend.put("long", b"words", 1e6)
    assert (folder / "long.value").stat().st_mtime > time.time() + file_backend.KEEP_SECONDS
    backend.put("over", b"words", 1e-3)
    os.utime(folder / "over.value", (0, time.time() - 2 * file_backend.KEEP_SECONDS))
    (folder / "folder").mkdir()
    os.utime(folder / "folder", (0, 0))
    backend.put("new", b"words", 1e-3)
    assert (folder / "over.value").exists(), "somebody has looked just now"
    os.utime(folder / "swept", (0, time.time() - 2 * file_backend.KEEP_SECONDS))
    backend.claim("claim", 60.0)
    left = {path.name.split(".")[0] for path in folder.iterdir()}
    assert left == {"limit", "long", "new", "claim", "swept", "folder"}

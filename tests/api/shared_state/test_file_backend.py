"""Slot books in files: booked together, private, and begun anew whatever stands in their place."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, Operation, Turn
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS
from airflow_provider_bitscale.api.shared_state.backend import Busy
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.file_content import BOOK_BYTES, content_of_book
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.api.shared_state.conftest import Counts
from tests.support.forks import Fork
from tests.support.mounts import remount, tmpfs

SLOW = Book(gap=300.0, behind=0.0)


def book(state: SharedState) -> Turn | None:
    return state.ask(lambda backend: backend.apply("limit", SLOW))


def file_of(folder: Path) -> Path:
    [file] = folder.glob("limit.*")
    return file


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The lock of a file, as another process has it."""
    file = os.open(path, os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(file)


def test_all_who_use_the_folder_book_together(tmp_path: Path) -> None:
    first, second = FileBackend(str(tmp_path)), FileBackend(str(tmp_path))
    assert first.apply("limit", SLOW).granted == 1
    turn = second.apply("limit", SLOW)
    assert (turn.granted, turn.ticket) == (0, 1)
    assert 200 < turn.hold <= 300
    assert second.apply("another limit", SLOW).granted == 1


def test_it_is_private_and_a_few_bytes(backend: FileBackend, folder: Path) -> None:
    backend.apply("limit", SLOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(folder).stat().st_mode) == 0o600
    assert file_of(folder).stat().st_size == BOOK_BYTES < 200


def test_it_waits_for_nobody(backend: FileBackend, folder: Path) -> None:
    backend.apply("limit", SLOW)
    with held(file_of(folder)), pytest.raises(Busy):
        backend.apply("limit", SLOW)
    assert backend.apply("limit", SLOW).ticket == 1, "what was busy has not booked"


def as_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def as_link(file: Path) -> None:
    target = file.parent.parent / "somebody's"
    target.write_bytes(b"as it was")
    file.unlink()
    file.symlink_to(target)


def as_dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent.parent / "not there")


def as_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def as_socket(file: Path) -> None:
    file.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        # A path may be too long for a socket.
        before = Path.cwd()
        os.chdir(file.parent)
        listening.bind(file.name)
        os.chdir(before)


def as_anothers(file: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(file, 65534, 65534)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: os.truncate(file, 50),
    "longer": lambda file: os.truncate(file, 5000),
    "zeros": lambda file: file.write_bytes(bytes(BOOK_BYTES)),
    "text": lambda file: file.write_text('{"tickets": 1}'),
    "huge": lambda file: os.truncate(file, 1 << 40),
    "written in the future": lambda file: file.write_bytes(
        content_of_book(SlotBook(tickets=9, head=1, written_at=time.time() + 3600))
    ),
    "a directory": as_directory,
    "a link": as_link,
    "a dangling link": as_dangling_link,
    "a pipe": as_pipe,
    "a socket": as_socket,
    "another user's": as_anothers,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_no_book_is_told_once_and_begun_anew(
    state: SharedState,
    folder: Path,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
) -> None:
    for times in (1, 2):
        book(state)
        damage(file_of(folder))
        turn = book(state)
        assert turn is not None
        assert turn.granted == 1, "a book that was begun anew"
        later = book(state)
        assert later is not None
        assert later.ticket == 1, "and it is kept"
        assert counts.names == times * [SHARED_STATE_ERRORS]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "is begun anew" in caplog.text
    assert stat.S_ISREG(file_of(folder).lstat().st_mode)
    for target in folder.parent.glob("somebody's"):
        assert target.read_bytes() == b"as it was"


def test_a_directory_with_something_in_it_is_left_alone(
    state: SharedState, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book(state)
    as_directory(file_of(folder))
    kept = file_of(folder) / "kept"
    kept.touch()
    assert [book(state), book(state)] == [None, None]
    assert len(caplog.records) == 1
    assert kept.exists()


def test_an_empty_file_is_a_new_book(state: SharedState, folder: Path, counts: Counts) -> None:
    book(state)
    os.truncate(file_of(folder), 0)
    assert book(state) is not None
    assert counts.names == []


def test_a_book_of_long_ago_is_believed(state: SharedState, folder: Path, counts: Counts) -> None:
    """As a clock that was set forward finds it."""
    book(state)
    then = time.time() - 1e8
    file_of(folder).write_bytes(content_of_book(SlotBook(tickets=9, head=9, head_at=then, written_at=then)))
    turn = book(state)
    assert turn is not None
    assert turn.granted == 1
    assert counts.names == []


def test_a_folder_that_was_cleaned_up_is_made_anew(state: SharedState, folder: Path, counts: Counts) -> None:
    book(state)
    shutil.rmtree(folder)
    assert book(state) is not None
    assert file_of(folder).exists()
    assert counts.names == []


def test_a_file_that_is_removed_while_it_is_opened_is_not_written_to(
    backend: FileBackend, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.apply("limit", SLOW)
    lock = fcntl.flock

    def removed_before(file: int, how: int) -> None:
        if how & fcntl.LOCK_EX and (path := file_of(folder)).exists():
            path.unlink()
        lock(file, how)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", removed_before)
        with pytest.raises(Busy):
            backend.apply("limit", SLOW)
    assert backend.apply("limit", SLOW).granted == 1


@pytest.mark.parametrize("size", [0, 50])
def test_a_full_disk_is_no_error_and_leaves_nothing_half_written(
    state: SharedState, folder: Path, counts: Counts, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    """A limit on sizes stands for it: root's tests have a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        turns = [book(state), book(state)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert turns == [None, None]
    assert len(caplog.records) == 1
    assert file_of(folder).stat().st_size == 0
    assert book(state) is not None
    assert counts.names == 2 * [SHARED_STATE_ERRORS]


def test_a_disk_that_is_really_full(state: SharedState, tmp_path: Path, folder: Path) -> None:
    with tmpfs(folder, "size=64k,mode=700"):
        fill = folder / "fill"
        with fill.open("wb", buffering=0) as file:
            while os.statvfs(folder).f_bavail:
                file.write(bytes(4096))
        assert book(state) is None
        assert state.ask(lambda backend: backend.claim("claim", 60.0)) is None
        fill.unlink()
        assert book(state) is not None
        assert state.ask(lambda backend: backend.claim("claim", 60.0)) is True


def test_a_file_system_that_is_read_only(
    state: SharedState, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tmpfs(folder, "size=64k,mode=700"):
        book(state)
        remount(folder, "ro")
        assert [book(state), book(state)] == [None, None]
        assert len(caplog.records) == 1
        remount(folder, "rw")
        assert book(state) is not None


def test_a_process_that_is_forked_meanwhile_keeps_nothing_locked(
    backend: FileBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks: list[Fork[None]] = []
    applied = SlotBook.apply

    def forked_meanwhile(self: SlotBook, operation: Operation, now: float) -> Turn:
        forks.append(Fork(lambda: time.sleep(60)))
        return applied(self, operation, now)

    with monkeypatch.context() as patched:
        patched.setattr(SlotBook, "apply", forked_meanwhile)
        backend.apply("limit", SLOW)
    with forks[0]:
        assert backend.apply("limit", SLOW).ticket == 1


def test_no_file_stays_open(backend: FileBackend, folder: Path) -> None:
    backend.apply("limit", SLOW)
    opened = len(os.listdir("/dev/fd"))
    for _ in range(10):
        backend.apply("limit", SLOW)
        backend.put("value", b"words", 60.0)
        backend.get("value")
        with held(file_of(folder)), pytest.raises(Busy):
            backend.apply("limit", SLOW)
    assert len(os.listdir("/dev/fd")) == opened

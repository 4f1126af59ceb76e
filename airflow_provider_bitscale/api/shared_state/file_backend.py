"""Shared state in small files of one user on one machine: one for each limit, one for each value.

A file is opened and locked for each question and closed after it: there is nothing that a fork could carry
over, and a lock ends with its process.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, TypeVar

from airflow_provider_bitscale.api.limit.bookings import Operation, Turn
from airflow_provider_bitscale.api.limit.slot_book import LAYOUT, SlotBook
from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS, count
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES, Busy
from airflow_provider_bitscale.api.shared_state.file_content import (
    BOOK_BYTES,
    LONGEST,
    UnusableError,
    book_of,
    content_of_book,
    content_of_value,
    value_of,
)
from airflow_provider_bitscale.api.shared_state.private_folder import private_folder

# Files that have been of no use for so long are removed; they are looked for as often.
KEEP_SECONDS = 3600.0

# After a write, the next read would write its time of access: no small part of what a booking costs.
_NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)
_SAFELY = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | _NO_ACCESS_TIME
# What is answered where something is in the place of a file of ours: a link, a folder, a socket, another's.
_IN_THE_WAY = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM)

_AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB
_BOOK = f".{LAYOUT:08x}"
_VALUE = ".value"
_MISSING = (FileNotFoundError, NotADirectoryError)

log = logging.getLogger(__name__)

T = TypeVar("T")


class FileBackend:
    """Holds shared state in the files of a private folder; see :class:`Backend`.

    :param parent: the folder in which this user's own one is; None for the machine's temporary folder.
    """

    blocks: ClassVar[bool] = False

    def __init__(self, parent: str | None) -> None:
        self._parent = parent
        self._folder: str | None = None
        self._has_told = False

    @property
    def scope(self) -> str:
        """Who shares this state, in words for the log."""
        return f"the processes of this user that share the folder {self._folder or self._parent}"

    def apply(self, name: str, operation: Operation) -> Turn:
        """Do what is asked of a slot book."""

        def apply(file: int) -> Turn:
            now = time.time()
            book = self._book(name, file, now)
            turn = book.apply(operation, now)
            _write(file, content_of_book(book))
            return turn

        return self._locked(name + _BOOK, apply, is_made=True)

    def get(self, name: str) -> bytes | None:
        """Return a value; None if there is none, or its time is over, or it is empty, as a claim is."""
        with suppress(*_MISSING):
            return self._locked(name + _VALUE, lambda file: self._living(name, file, time.time())) or None
        return None

    def put(self, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for so many seconds, unless it is too long."""
        if len(value) > MAX_VALUE_BYTES:
            self.delete(name)
            return
        self._locked(
            name + _VALUE, lambda file: _write_value(file, value, seconds, time.time()), is_made=True
        )
        self._sweep()

    def claim(self, name: str, seconds: float) -> bool:
        """Claim a name for so many seconds, unless somebody has it; return whether it was free."""

        def claim(file: int) -> bool:
            now = time.time()
            is_free = self._living(name, file, now) is None
            if is_free:
                _write_value(file, b"", seconds, now)
            return is_free

        is_claimed = self._locked(name + _VALUE, claim, is_made=True)
        self._sweep()
        return is_claimed

    def delete(self, name: str) -> None:
        """Remove a value or a claim, if there is one."""
        with suppress(*_MISSING):
            os.unlink(self._path(name + _VALUE))

    def _book(self, name: str, file: int, now: float) -> SlotBook:
        content = os.pread(file, BOOK_BYTES + 1, 0)
        try:
            return book_of(content, now) if content else SlotBook()
        except UnusableError as error:
            self._discard(name, file, error)
            return SlotBook()

    def _living(self, name: str, file: int, now: float) -> bytes | None:
        content = os.pread(file, LONGEST + 1, 0)
        try:
            return value_of(content, now) if content else None
        except UnusableError as error:
            self._discard(name, file, error)
            return None

    def _path(self, name: str) -> str:
        if self._folder is None:
            self._folder = private_folder(self._parent)
        return f"{self._folder}/{name}"

    def _locked(self, name: str, use: Callable[[int], T], *, is_made: bool = False) -> T:
        """Open a file, lock it, and return what comes of its use.

        :raises Busy: somebody else has it, or it has just been removed, or put right.
        """
        file = self._opened(name, is_made)
        try:
            self._lock(name, file)
            return use(file)
        finally:
            # Not by closing alone: a process that was forked just then has the file open, and would keep it
            # locked. Nor by a function: a signal may raise an exception before the first line of one.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def _lock(self, name: str, file: int) -> None:
        try:
            fcntl.flock(file, _AT_ONCE)
        except BlockingIOError:
            raise Busy from None
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            self._clear(name)
            raise Busy
        if not found.st_nlink:
            raise Busy

    def _opened(self, name: str, is_made: bool) -> int:
        try:
            return self._found_or_made(name, is_made)
        except OSError as error:
            if error.errno in _IN_THE_WAY:
                self._clear(name)
                raise Busy from None
            raise

    def _found_or_made(self, name: str, is_made: bool) -> int:
        try:
            return os.open(self._path(name), _SAFELY)
        except _MISSING:
            if not is_made:
                raise
            # The folder may have been removed, and its name taken.
            self._folder = None
            return os.open(self._path(name), _SAFELY | os.O_CREAT, 0o600)

    def _clear(self, name: str) -> None:
        """Remove what is in the place of a file, in a folder that is surely ours."""
        self._folder = None
        path = self._path(name)
        with suppress(FileNotFoundError):
            is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
            (os.rmdir if is_folder else os.unlink)(path)
            self._tell(name, "it was no file of this user")

    def _discard(self, name: str, file: int, error: UnusableError) -> None:
        os.ftruncate(file, 0)
        self._tell(name, str(error))

    def _tell(self, name: str, problem: str) -> None:
        count(SHARED_STATE_ERRORS)
        if not self._has_told:
            self._has_told = True
            log.warning("What processes share as %s in %s is begun anew: %s", name, self._folder, problem)

    def _sweep(self) -> None:
        """Remove files that are of no use any more, if nobody did so lately."""
        now = time.time()

        def is_due(mark: int) -> bool:
            if abs(now - os.fstat(mark).st_mtime) < KEEP_SECONDS:
                return False
            os.utime(mark, (now, now))
            return True

        with suppress(OSError, Busy):
            if self._locked("swept", is_due, is_made=True):
                self._remove_older(now - KEEP_SECONDS)

    def _remove_older(self, than: float) -> None:
        for name in os.listdir(self._folder):
            with suppress(OSError):
                path = self._path(name)
                if os.lstat(path).st_mtime < than:
                    os.unlink(path)


def _write(file: int, content: bytes) -> None:
    if os.pwrite(file, content, 0) != len(content):
        os.ftruncate(file, 0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_value(file: int, value: bytes, seconds: float, now: float) -> None:
    os.ftruncate(file, 0)
    _write(file, content_of_value(value, seconds, now))
    # For the sweep: when its time is over.
    os.utime(file, (now + seconds, now + seconds))

"""Shared state in small files of one user on one machine: one for each limit, one for each value.

A file is opened and locked for each question and closed after it: there is nothing that a fork could carry
over. A lock ends with its process.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from typing import ClassVar
from zlib import crc32

from airflow_provider_bitscale.api.limit.bookings import Operation, Turn
from airflow_provider_bitscale.api.limit.slot_book import CLOCK_TOLERANCE, SlotBook, numbers_of
from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS, count
from airflow_provider_bitscale.api.shared_state.backend import Busy
from airflow_provider_bitscale.api.shared_state.private_folder import private_folder

MAX_VALUE_BYTES = 1 << 20
# Files that have been of no use for so long are removed, and looked for as often.
KEEP_SECONDS = 3600.0

_SAFELY = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# What opening something answers that is no file of ours.
_IN_THE_WAY = (errno.ELOOP, errno.EISDIR, errno.EACCES, errno.ENXIO)
_FIELDS = tuple(SlotBook.__slots__)
_BOOK = Struct(f"<{len(_FIELDS)}d")
# Another version of this package may know other fields: each keeps a book of its own.
_LAYOUT = crc32(" ".join(_FIELDS).encode())
_CHECK = Struct("<I")
_BOOK_SIZE = _BOOK.size + _CHECK.size
# When a value was written, and for how many seconds.
_LIFETIME = Struct("<2d")

log = logging.getLogger(__name__)


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
        return f"processes of this user that see the folder {self._folder or self._parent}"

    def apply(self, name: str, operation: Operation) -> Turn:
        """Do what is asked of a slot book."""
        file = self._locked(f"{name}.{_LAYOUT:08x}", os.O_CREAT)
        try:
            now = time.time()
            book = self._book(name, file, now)
            turn = book.apply(operation, now)
            data = _BOOK.pack(*numbers_of(book))
            _write(file, data + _CHECK.pack(crc32(data, _LAYOUT)))
            return turn
        finally:
            _release(file)

    def get(self, name: str) -> bytes | None:
        """Return a value; None if there is none, or its time is over."""
        try:
            with self._value(name) as file:
                return self._living(name, file, time.time())
        except FileNotFoundError:
            return None

    def put(self, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for so many seconds; one that is absurdly large is not kept."""
        if len(value) <= MAX_VALUE_BYTES:
            with self._value(name, os.O_CREAT) as file:
                _write_value(file, value, seconds, time.time())
            self._sweep()

    def claim(self, name: str, seconds: float) -> bool:
        """Claim a name for so many seconds, unless somebody has it; return whether it was free."""
        with self._value(name, os.O_CREAT) as file:
            now = time.time()
            if self._living(name, file, now) is not None:
                return False
            _write_value(file, b"", seconds, now)
        self._sweep()
        return True

    def delete(self, name: str) -> None:
        """Remove a value or a claim, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(f"{name}.value"))

    def _book(self, name: str, file: int, now: float) -> SlotBook:
        data = os.pread(file, _BOOK_SIZE + 1, 0)
        if not data:
            return SlotBook()
        if len(data) != _BOOK_SIZE or data[_BOOK.size :] != _CHECK.pack(crc32(data[: _BOOK.size], _LAYOUT)):
            self._discard(name, file, "it cannot be read")
            return SlotBook()
        book = SlotBook(*_BOOK.unpack_from(data))
        if not book.is_plausible(now):
            self._discard(name, file, "it is of another time")
            return SlotBook()
        return book

    def _living(self, name: str, file: int, now: float) -> bytes | None:
        data = os.pread(file, _LIFETIME.size + MAX_VALUE_BYTES + _CHECK.size + 1, 0)
        if not data:
            return None
        content, check = data[: -_CHECK.size], data[-_CHECK.size :]
        if len(content) < _LIFETIME.size or check != _CHECK.pack(crc32(content)):
            self._discard(name, file, "it cannot be read")
            return None
        written_at, seconds = _LIFETIME.unpack_from(content)
        if written_at > now + CLOCK_TOLERANCE:
            self._discard(name, file, "it is of another time")
            return None
        return content[_LIFETIME.size :] if now < written_at + seconds else None

    @contextmanager
    def _value(self, name: str, flags: int = 0) -> Iterator[int]:
        file = self._locked(f"{name}.value", flags)
        try:
            yield file
        finally:
            _release(file)

    def _path(self, name: str) -> str:
        if self._folder is None:
            self._folder = private_folder(self._parent)
        return f"{self._folder}/{name}"

    def _locked(self, name: str, flags: int) -> int:
        """Open a file and lock it.

        :raises Busy: somebody else has it, or it has just been removed or put right.
        """
        path = self._path(name)
        try:
            file = os.open(path, _SAFELY | flags, 0o600)
        except OSError as error:
            self._put_right(path, error, made=bool(flags))
            raise
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                self._clear(path)
                raise Busy
            if not found.st_nlink:
                raise Busy
        except BlockingIOError:
            os.close(file)
            raise Busy from None
        except BaseException:
            os.close(file)
            raise
        return file

    def _put_right(self, path: str, error: OSError, *, made: bool) -> None:
        if error.errno == errno.ENOENT and not made:
            return
        # The folder may have been removed, or have become another user's.
        self._folder = None
        if error.errno in _IN_THE_WAY:
            self._clear(path)
        elif error.errno != errno.ENOENT:
            return
        raise Busy from None

    def _clear(self, path: str) -> None:
        """Remove what is in the place of a file, in a folder where nobody else puts anything."""
        with suppress(FileNotFoundError):
            is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
            (os.rmdir if is_folder else os.unlink)(path)
            self._tell(os.path.basename(path), "it is no file of this user")

    def _discard(self, name: str, file: int, problem: str) -> None:
        os.ftruncate(file, 0)
        self._tell(name, problem)

    def _tell(self, name: str, problem: str) -> None:
        count(SHARED_STATE_ERRORS)
        if not self._has_told:
            self._has_told = True
            log.warning("What processes share as %s in %s is begun anew: %s", name, self._folder, problem)

    def _sweep(self) -> None:
        """Remove files that are of no use any more, if nobody did so lately."""
        mark, now = self._path("swept"), time.time()
        with suppress(FileNotFoundError):
            if abs(now - os.stat(mark).st_mtime) < KEEP_SECONDS:
                return
        os.close(os.open(mark, _SAFELY | os.O_CREAT, 0o600))
        os.utime(mark, (now, now))
        with os.scandir(os.path.dirname(mark)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if now > entry.stat(follow_symlinks=False).st_mtime + KEEP_SECONDS:
                        os.unlink(entry.path)


def _write(file: int, data: bytes) -> None:
    if os.pwrite(file, data, 0) != len(data):
        os.ftruncate(file, 0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_value(file: int, value: bytes, seconds: float, now: float) -> None:
    content = _LIFETIME.pack(now, seconds) + value
    os.ftruncate(file, 0)
    _write(file, content + _CHECK.pack(crc32(content)))
    # For the sweep: when it ends.
    os.utime(file, (now + seconds, now + seconds))


def _release(file: int) -> None:
    # By name: a process that was forked meanwhile has the file, too, and would keep it locked.
    fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)

"""A log of what a batch has sent and what was answered, in a private folder of the machine.

The task's state store is written a few times a second; this has a line for each request, before it leaves
and when it is answered. It is not synced: it survives the process, and not the machine. A retry on the same
machine reads it, and knows of each row that was announced whether a request for it had left.

A line is a word, the row's position in the input, and the id of its run: never a value of a row.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.store.sent_rows import ACCEPTED, ANSWERED, NOT_PROCESSED, SENT, SentRows

# What was left behind, because no try came to collect the batch, is removed after this.
KEEP_SECONDS = 7 * 24 * 3600.0
# A try that was replaced may still wait for answers; each is the id of a run that is paid for. Airflow kills
# it some ten seconds after a Clear.
LAST_ANSWERS_SECONDS = 12.0

_WAIT_SECONDS = 0.2
_SUFFIX = ".log"
_SEAL = "taken over"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC

log = logging.getLogger(__name__)


class TakenOverError(BitScaleError):
    """Another try of the task has begun, and has read the log of this one, which must not send any more."""

    def __init__(self) -> None:
        super().__init__("another try of this task has begun: this one submits no more rows")


class SentLog:
    """The log of one try. Where it cannot be written, it is given up, and the batch goes on without.

    :param file: open for reading and appending; None for no log.
    :param remove: removes the file; raises OSError.
    """

    def __init__(self, file: int | None = None, remove: Callable[[], None] = lambda: None) -> None:
        self._file = file
        self._remove = remove
        self._size = 0 if file is None else os.fstat(file).st_size
        # Why sending is refused.
        self._refusal: BitScaleError | None = None

    def sending(self, row: int) -> None:
        """Log a row whose request leaves as soon as this returns.

        :raises TakenOverError: it must not leave.
        :raises BitScaleError: the log can be neither written nor removed: it would deny what is sent now.
        """
        self._write(f"{SENT} {row}")
        # Lines are appended one after the other: either that of the other try comes first, and is noticed
        # here, or this one does, and the other try reads it.
        if self._file is not None and os.fstat(self._file).st_size != self._size:
            self._refusal = TakenOverError()
        if self._refusal is not None:
            raise self._refusal

    def not_processed(self, row: int) -> None:
        """Log that the request provably started no run."""
        self._write(f"{NOT_PROCESSED} {row}")

    def accepted(self, row: int, run_id: str) -> None:
        """BitScale accepted the row's run."""
        # Anything but a single word could look like another line.
        if len(run_id.split()) == 1:
            self._write(f"{ACCEPTED} {row} {run_id}")

    def answered(self, row: int) -> None:
        """Log that the row's result was answered at once, without a run to ask for."""
        self._write(f"{ANSWERED} {row}")

    def close(self) -> None:
        """Nothing more is written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        data = f"{line}\n".encode()
        try:
            if os.write(self._file, data) != len(data):
                raise OSError("no space is left")
            self._size += len(data)
        except OSError as problem:
            self._give_up(self._file, problem)

    def _give_up(self, file: int, problem: OSError) -> None:
        """Remove the log: with a gap, it would say that rows were not sent which were."""
        try:
            self._remove()
        except OSError:
            text = f"the log of what was sent can be neither written nor removed: {problem}"
            self._refusal = BitScaleError(text)
        # A try that opens it before, and seals it after this, sees that it was removed.
        if _SEAL.encode() in os.pread(file, 1 << 16, self._size):
            self._refusal = TakenOverError()
        self.close()
        if self._refusal is None:
            log.warning("The log of what is sent cannot be written, the batch continues without: %s", problem)


class SentLogs:
    """The logs of all tries of one batch on this machine.

    :param folder: made if it is not there; None for one of this user's among the temporary files.
    """

    def __init__(self, batch_id: str, folder: Path | None = None) -> None:
        self._batch_id = batch_id
        self._path = folder or Path(gettempdir(), f"airflow-provider-bitscale-{os.getuid()}")

    def begin(self, token: str) -> SentLog:
        """Return the log of a new try. What others left long ago is removed."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _SAFELY
        try:
            with self._folder() as folder:
                _remove_old(folder)
                file = os.open(self._name(token), flags, 0o600, dir_fd=folder)
                # Held for as long as the process lives: see _is_held.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(file, f"{_machine()}\n".encode())
        except OSError as problem:
            log.warning("There is no log of what is sent, the batch continues without: %s", problem)
            return SentLog()
        return SentLog(file, lambda: self.remove([token]))

    def take_over(self, tokens: Sequence[str], patience: float = LAST_ANSWERS_SECONDS) -> SentRows:
        """Read the logs of earlier tries, which cannot send from then on.

        :param patience: seconds to wait for answers to what a try has sent that still runs.
        """
        sent = SentRows()
        until = time.monotonic() + patience
        for token in tokens:
            try:
                with self._folder() as folder:
                    file = os.open(self._name(token), os.O_RDWR | os.O_APPEND | _SAFELY, dir_fd=folder)
                with _closing(file):
                    sent.include(_taken_over(file, until))
            except FileNotFoundError:
                # It ran on another machine, or had no log.
                sent.complete = False
            except OSError as problem:
                sent.complete = False
                log.warning("The log of what an earlier try has sent cannot be used: %s", problem)
        return sent

    def remove(self, tokens: Sequence[str]) -> None:
        """Remove the logs of these tries; raises OSError."""
        with self._folder() as folder:
            for token in tokens:
                with suppress(FileNotFoundError):
                    os.unlink(self._name(token), dir_fd=folder)

    def _name(self, token: str) -> str:
        # Both come from the task's state store, where people may have written anything.
        return sha256(f"{self._batch_id} {token}".encode()).hexdigest()[:32] + _SUFFIX

    @contextmanager
    def _folder(self) -> Iterator[int]:
        with suppress(FileExistsError):
            self._path.mkdir(0o700)
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
        with _closing(folder):
            found = os.fstat(folder)
            if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise PermissionError(f"the folder {self._path} is not private to this user")
            yield folder


def _taken_over(file: int, until: float) -> SentRows:
    """Read a log, after its try was stopped from sending."""
    found = os.fstat(file)
    if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
        raise PermissionError("it is not a file of this user")
    seal = f"{_SEAL}\n".encode()
    if os.write(file, seal) != len(seal):
        raise OSError("no space is left")
    sent = _read(file)
    if sent.awaits_answers and _is_held(file):
        log.info("Waiting for the last answers to an earlier try, which still runs")
    while sent.awaits_answers and time.monotonic() < until and _is_held(file):
        time.sleep(_WAIT_SECONDS)
        sent = _read(file)
    # Its try may have given it up just now.
    sent.complete &= os.fstat(file).st_nlink > 0
    return sent


def _read(file: int) -> SentRows:
    machine, *lines = os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace").splitlines()
    # What was written before the machine was started again may be lost.
    found = SentRows(complete=_BOOT_ID.exists() and machine == _machine())
    found.add(line for line in lines if line != _SEAL)
    return found


def _machine() -> str:
    """Return the machine and its boot: what a process writes to a file, the others there see."""
    boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "unknown"
    return f"boot {boot_id} of {socket.gethostname()}"


def _is_held(file: int) -> bool:
    """Whether the process that writes this log still runs."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _remove_old(folder: int) -> None:
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):
            if name.endswith(_SUFFIX) and time.time() - os.stat(name, dir_fd=folder).st_mtime > KEEP_SECONDS:
                os.unlink(name, dir_fd=folder)


@contextmanager
def _closing(file: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(file)

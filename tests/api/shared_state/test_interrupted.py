"""A signal's exception in the middle of a booking, as that of a task that has run for too long."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from airflow_provider_bitscale.api.limit.bookings import Book
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from tests.support.forks import in_fork

ALARMS = 3000
BOOK = Book(0.0, 0.0)


class TimeIsUp(BaseException):
    """As Airflow raises it in the main thread."""


def test_no_lock_outlives_the_exception_of_a_signal(tmp_path: Path) -> None:
    backend = FileBackend(str(tmp_path))

    def ring(*_: object) -> None:
        raise TimeIsUp

    def ask() -> None:
        backend.apply("limit", BOOK)
        backend.put("value", b"1", 60.0)
        backend.get("value")

    def interrupted() -> int:
        signal.signal(signal.SIGALRM, ring)
        alarms, until = 0, time.monotonic() + 20.0
        while alarms < ALARMS and time.monotonic() < until:
            try:
                # It comes at any point of what follows.
                signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 60e-6))
                while True:
                    ask()
            except TimeIsUp:
                alarms += 1
                # While the exception is handled: Busy is raised if it has left a lock.
                ask()
        return alarms

    assert in_fork(interrupted) >= 100

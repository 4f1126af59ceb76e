"""Makes the journal of a batch durable, in groups, without holding up the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict

from airflow_provider_bitscale.batch.row_result import RowResult
from airflow_provider_bitscale.batch.store.journal import Changes, Journal
from airflow_provider_bitscale.batch.store.segment_records import Entry

log = logging.getLogger(__name__)

# What is gathered between two writes is ambiguous after a crash of the machine; each is a request to Airflow.
SECONDS_BETWEEN_WRITES = 0.2
# The pause grows up to this while writing fails.
MOST_SECONDS_BETWEEN_WRITES = 5.0
# While something waits for longer to be durable, no row is submitted.
MOST_UNWRITTEN_SECONDS = 1.0
# Airflow ends a task at the third heartbeat that failed, each tried again for half a minute, and gives it to
# another worker after 300 s without one: until then the store may come back.
AWAY_SECONDS = 180.0
# A store that answers, and refuses, does so since the task was cleared or replaced.
REFUSED_SECONDS = 5.0


def is_lost(problem: Exception, seconds: float) -> bool:
    """Whether the store is given up.

    :param problem: why the last write failed.
    :param seconds: for which none has succeeded.
    """
    return seconds > (REFUSED_SECONDS if _is_refusal(problem) else AWAY_SECONDS)


def _is_refusal(problem: Exception) -> bool:
    """Whether Airflow refused: its SDK puts the status into the error's details."""
    details = getattr(getattr(problem, "error", None), "detail", None)
    status = details.get("status_code") if isinstance(details, dict) else None
    return isinstance(status, int) and 400 <= status < 500


class JournalWriter:
    """Writes what has changed in the journal, again and again, one write at a time.

    ``problem`` is why the last write failed, if it did. What it was about is written by a later one.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.problem: Exception | None = None
        self._results: dict[int, dict[int, RowResult]] = defaultdict(dict)
        self._wanted = asyncio.Event()
        self._written = asyncio.Condition()
        self._asked = self._done = 0
        self._writing = asyncio.Lock()
        # Since when something waits to be written, and since when what is just being written has waited.
        self._waiting_since: float | None = None
        self._being_written_since: float | None = None

    def changed(self) -> None:
        """Note that the journal has changed."""
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        self._wanted.set()

    def note(self, number: int, row: int, entry: Entry) -> None:
        """Note that the entry of a row has changed; see :meth:`Journal.note`."""
        self._journal.note(number, row, entry)
        self.changed()

    def add_result(self, number: int, row: int, result: RowResult) -> None:
        """Keep the result of a row that was answered at once; see :meth:`Journal.add_results`."""
        self._results[number][row] = result
        self.changed()

    def unwritten_seconds(self) -> float:
        """Return for how long the oldest change has waited to be durable; 0 if all are."""
        # What is being written has waited for longer than what has changed since.
        since = self._waiting_since if self._being_written_since is None else self._being_written_since
        return 0.0 if since is None else time.monotonic() - since

    async def durable(self) -> None:
        """Wait until all that has changed until now is durable; forever if writing fails."""
        self._asked += 1
        ticket = self._asked
        self.changed()
        async with self._written:
            await self._written.wait_for(lambda: self._done >= ticket)

    async def run(self) -> None:
        """Write whenever something has changed, until cancelled."""
        pause = SECONDS_BETWEEN_WRITES
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.write()
            failed = self.problem is not None
            pause = min(MOST_SECONDS_BETWEEN_WRITES, 2 * pause) if failed else SECONDS_BETWEEN_WRITES
            await asyncio.sleep(pause)

    async def write(self) -> None:
        """Write what has changed."""
        async with self._writing:
            ticket = self._asked
            self._take_results()
            changes = self._journal.changes()
            self._being_written_since, self._waiting_since = self._waiting_since, None
            problem, cancelled = await self._write(changes) if changes else (None, None)
            if problem is None:
                self._journal.written()
            else:
                self._waiting_since = self._being_written_since
                self._wanted.set()
            self._being_written_since = None
            if cancelled is not None:
                raise cancelled
            if problem is not None and not isinstance(problem, Exception):
                raise problem
            self.problem = problem
            if problem is not None:
                log.warning("The task's state store could not be written: %s", problem)
                return
        async with self._written:
            self._done = ticket
            self._written.notify_all()

    def unsaved(self) -> Changes:
        """Return all that is not known to be durable."""
        self._take_results()
        return self._journal.unsaved()

    def _take_results(self) -> None:
        results, self._results = self._results, defaultdict(dict)
        for number, rows in results.items():
            self._journal.add_results(number, rows)

    async def _write(self, changes: Changes) -> tuple[BaseException | None, asyncio.CancelledError | None]:
        """Write to the end, even if cancelled: a write must not be overtaken by a later one.

        :return: why it failed, and that it was cancelled meanwhile, if so.
        """
        writing = asyncio.ensure_future(asyncio.to_thread(self._journal.write, changes))
        cancelled: asyncio.CancelledError | None = None
        while not writing.done():
            try:
                await asyncio.wait([writing])
            except asyncio.CancelledError as error:
                cancelled = error
        return writing.exception(), cancelled

"""Makes the journal of a batch durable, in groups, without holding up the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from airflow_provider_bitscale.batch.journal import Changes, Journal
from airflow_provider_bitscale.batch.statuses import Settled

log = logging.getLogger(__name__)

# What is gathered between two writes is in doubt after a crash; each write is a request to Airflow.
SECONDS_BETWEEN_WRITES = 0.2


class Recorder:
    """Writes what has changed in the journal, again and again, one write at a time.

    ``problem`` is why the last write failed, if it did. What it was about is written by a later one.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.problem: Exception | None = None
        self._results: dict[int, dict[int, Settled]] = defaultdict(dict)
        self._wanted = asyncio.Event()
        self._written = asyncio.Condition()
        self._asked = self._done = 0
        self._writing = asyncio.Lock()

    def changed(self) -> None:
        """The journal has changed."""
        self._wanted.set()

    def answered(self, number: int, row: int, settled: Settled) -> None:
        """A row was answered at once; see :meth:`Journal.answered`."""
        self._results[number][row] = settled
        self._wanted.set()

    async def durable(self) -> None:
        """Wait until all that has changed until now is durable; forever if writing fails."""
        self._asked += 1
        ticket = self._asked
        self._wanted.set()
        async with self._written:
            await self._written.wait_for(lambda: self._done >= ticket)

    async def run(self) -> None:
        """Write whenever something has changed, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.write()
            await asyncio.sleep(SECONDS_BETWEEN_WRITES)

    async def write(self) -> None:
        """Write what has changed."""
        async with self._writing:
            ticket = self._asked
            results, self._results = self._results, defaultdict(dict)
            for number, rows in results.items():
                self._journal.answered(number, rows)
            changes = self._journal.changes()
            self.problem = None if changes is None else await self._write(changes)
            if self.problem is not None:
                log.warning("The task's state store could not be written: %s", self.problem)
                self._journal.restore(changes)
                self._wanted.set()
                return
        async with self._written:
            self._done = ticket
            self._written.notify_all()

    async def _write(self, changes: Changes) -> Exception | None:
        """Write to the end, even if cancelled: a write must not be overtaken by a later one."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._journal.write, changes))
        cancelled: asyncio.CancelledError | None = None
        while not writing.done():
            try:
                await asyncio.wait([writing])
            except asyncio.CancelledError as error:
                cancelled = error
        problem = writing.exception()
        if cancelled is not None:
            if problem is not None:
                self._journal.restore(changes)
            raise cancelled
        if problem is not None and not isinstance(problem, Exception):
            raise problem
        return problem

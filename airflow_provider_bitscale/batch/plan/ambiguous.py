"""Pure: for how long to wait for the delivery of a row that may have started a run."""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow

# A row is waited for this many times the length of the longest run, and at least this many seconds: a
# delivery that fails is repeated.
PATIENCE = 3.0
LEAST_PATIENCE = 120.0


class AmbiguousRows:
    """The order in which rows have come to wait, up to ``timeout``. Time is passed in, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._rows: deque[BatchRow] = deque()

    def add(self, row: BatchRow) -> None:
        """Let a row wait from now on."""
        self._rows.append(row)

    def take_all(self) -> list[BatchRow]:
        """Remove and return all rows that wait."""
        rows = [row for row in self._rows if row.awaits_delivery]
        self._rows.clear()
        return rows

    def overdue(self, now: float, longest_run: float | None) -> list[BatchRow]:
        """Return the rows that have waited for long enough, and are to be given up.

        :param longest_run: seconds; None where that is not known, and while anything else can go on: then
            waiting costs nothing.
        """
        patience = self._timeout
        if longest_run is not None:
            patience = min(patience, max(LEAST_PATIENCE, PATIENCE * longest_run))
        while self._rows and not self._rows[0].awaits_delivery:
            self._rows.popleft()
        waiting = takewhile(lambda row: now - row.since >= patience, self._rows)
        return [row for row in waiting if row.awaits_delivery]

"""Pure: for how long the delivery of a row is waited for, where only that tells whether a run was started."""

from __future__ import annotations

from collections import deque

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow

# A row is waited for this many times the length of the longest run, and at least this many seconds: a
# delivery that fails is repeated.
PATIENCE = 3.0
LEAST_PATIENCE = 120.0


class AmbiguousRows:
    """The order in which rows have come to wait. Time is passed in, in seconds.

    :param timeout: after which a row is given up in any case.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._rows: deque[BatchRow] = deque()
        self._longest_run: float | None = None

    def add(self, row: BatchRow) -> None:
        """Let a row wait from now on."""
        self._rows.append(row)

    def take_all(self) -> list[BatchRow]:
        """Remove and return all rows that wait."""
        rows = [row for row in self._rows if row.awaits_delivery]
        self._rows.clear()
        return rows

    def ran(self, seconds: float) -> None:
        """Note how long a run took."""
        self._longest_run = max(seconds, self._longest_run or 0.0)

    def overdue(self, now: float, *, only_they_are_left: bool) -> list[BatchRow]:
        """Remove and return the rows that have waited for long enough.

        :param only_they_are_left: while anything else can go on, waiting costs nothing. After that, it is for
            as long as a run may take, as far as that is known.
        """
        patience = self._timeout
        if only_they_are_left and self._longest_run is not None:
            patience = min(patience, max(LEAST_PATIENCE, PATIENCE * self._longest_run))
        rows: list[BatchRow] = []
        while self._rows and (now - self._rows[0].since >= patience or not self._rows[0].awaits_delivery):
            row = self._rows.popleft()
            if row.awaits_delivery:
                rows.append(row)
        return rows

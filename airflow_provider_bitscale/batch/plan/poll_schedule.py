"""Pure: which run is polled next, and when."""

from __future__ import annotations

import heapq
from collections import deque
from math import inf
from typing import TypeAlias

from airflow_provider_bitscale.batch.plan.batch_row import RUNNING, BatchRow
from airflow_provider_bitscale.runs.polling import SELDOM_SECONDS
from airflow_provider_bitscale.runs.run_times import EAGER, FIRST_POLL, PATIENT, RunTimes

# A run whose first poll is to be soon is left to its delivery for this long.
SOON_SECONDS = 5.0
# After this many ends that were not delivered, no more are relied on, until one is.
FORGIVEN = 20

# When a poll is due, of which row; void once the row has another version.
_Entry: TypeAlias = "tuple[float, int, int, BatchRow]"


class PollSchedule:
    """The order of polls of the rows that are RUNNING. Time is passed in, in seconds.

    :param timeout: the age at which a run is polled in any case.
    :param expects_deliveries: whether ends are delivered: then polls are rare until that has happened.
    """

    def __init__(self, timeout: float, *, expects_deliveries: bool) -> None:
        self.run_times = RunTimes()
        self.hurried = False
        self._timeout = timeout
        self._expects_deliveries = expects_deliveries
        # Ends that were seen before they were delivered, one after another.
        self._undelivered_ends = 0
        # Rows whose end was delivered; by the time from which an eager poll is due; and past that, by the
        # time of a patient one.
        self._hinted: deque[_Entry] = deque()
        self._early: list[_Entry] = []
        self._late: list[_Entry] = []

    def schedule(self, row: BatchRow) -> None:
        """Plan the next poll of a row."""
        row.version += 1
        heapq.heappush(self._early, (self._due(row, EAGER), row.number, row.version, row))

    def hint(self, row: BatchRow) -> None:
        """Poll a row next whose run has ended by a delivery, unless it is being polled."""
        self._undelivered_ends = 0
        if not row.hinted:
            row.hinted = True
            if row.state is RUNNING:
                row.version += 1
                self._hinted.append((0.0, row.number, row.version, row))

    def not_ended(self, row: BatchRow, now: float, not_before: float) -> None:
        """Note that a poll found the run under way, or found nothing out.

        :param not_before: seconds to leave it alone for, if it found nothing out; else 0.
        """
        row.poll_from = now + not_before
        if not not_before:
            row.not_ended_at = now - row.since
            if row.exact:
                self.run_times.add_age(row.not_ended_at)
        self.schedule(row)

    def ended(self, row: BatchRow, now: float, took: float | None) -> None:
        """Note that a run has ended, ``took`` seconds after its submission, as BitScale reports them."""
        self._undelivered_ends += not row.hinted
        if row.exact:
            self.run_times.add(row.not_ended_at, now - row.since, took)

    def hurry(self, now: float) -> None:
        """Make each run due for a last poll: time is up."""
        self.hurried = True
        rows = self.rows()
        self._hinted.clear()
        self._early = [(now, row.number, row.version, row) for row in rows]
        heapq.heapify(self._early)
        self._late = []

    def rows(self) -> list[BatchRow]:
        """Return all rows that are RUNNING."""
        entries = (*self._hinted, *self._early, *self._late)
        return [entry[3] for entry in entries if _holds(entry)]

    def next_row(self, now: float, *, eager: bool) -> BatchRow | None:
        """Return the row to poll now, if any: first those that have ended, then the most overdue."""
        while self._hinted:
            if _holds(self._hinted[0]):
                return self._hinted[0][3]
            self._hinted.popleft()
        early, late = self._early, self._late
        while early and early[0][0] <= now:
            entry = heapq.heappop(early)
            if not _holds(entry):
                continue
            if (due := self._due(entry[3], EAGER)) > now:
                heapq.heappush(early, (due, *entry[1:]))
            else:
                heapq.heappush(late, (self._due(entry[3], PATIENT), *entry[1:]))
        while late and (eager or late[0][0] <= now):
            entry = late[0]
            if not _holds(entry):
                heapq.heappop(late)
            elif eager or (due := self._due(entry[3], PATIENT)) <= now:
                return entry[3]
            else:
                heapq.heapreplace(late, (due, *entry[1:]))
        return None

    def next_at(self, *, eager: bool) -> float:
        """Return when there may be a run to poll, if there is none now; infinite for never."""
        at = self._early[0][0] if self._early else inf
        return at if eager or not self._late else min(at, self._late[0][0])

    def _due(self, row: BatchRow, impatience: float) -> float:
        if self.hurried:
            return row.poll_from
        if row.exact:
            age = self.run_times.next_poll(row.not_ended_at, impatience)
        else:
            # An earlier try's run: it has probably ended, so the first poll is at once.
            age = FIRST_POLL + 1.5 * row.not_ended_at if row.not_ended_at else 0.0
        if self._is_to_be_delivered(row) and (row.exact or row.not_ended_at):
            # A run that takes as long as others may just be about to be delivered.
            seldom = max(row.not_ended_at + SELDOM_SECONDS, 2 * self.run_times.long_run)
            age = max(age, SOON_SECONDS if row.soon and not row.not_ended_at else seldom)
        return max(row.poll_from, row.since + min(age, self._timeout))

    def _is_to_be_delivered(self, row: BatchRow) -> bool:
        return self._expects_deliveries and not row.hinted and self._undelivered_ends < FORGIVEN


def _holds(entry: _Entry) -> bool:
    _, _, version, row = entry
    return row.version == version and row.state is RUNNING

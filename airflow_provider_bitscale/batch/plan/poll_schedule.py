"""Pure: the runs of a batch that are under way, and which of them to look at next."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_bitscale.batch.plan.run_times import EAGER, FIRST_POLL, PATIENT, RunTimes
from airflow_provider_bitscale.runs.polling import SELDOM_SECONDS

# A run that is to be looked at soon is left to its delivery for so long.
SOON_SECONDS = 5.0
# After so many ends that were not delivered, no more are relied on, until one is.
FORGIVEN = 20

_Entry: TypeAlias = "tuple[float, int, int]"


@dataclass
class _ScheduledRun:
    """A run in flight; times in seconds of the planner's clock."""

    submitted_at: float
    # Whether that is when it was submitted, or when this try took it over.
    exact: bool
    # Whether it is looked at soon, whatever is delivered.
    soon: bool = False
    not_ended_at: float = 0.0
    poll_from: float = 0.0
    looking: bool = False
    # Whether its end has been delivered.
    delivered: bool = False
    # Grows whenever what is noted of the time of its next look does not hold any more.
    version: int = 0


class PollSchedule:
    """Runs are known by the row they are of. Time is passed in, in seconds.

    :param timeout: the age at which a run is looked at in any case.
    :param expects_deliveries: whether ends are delivered: then looks are rare until that has happened.
    """

    def __init__(self, timeout: float, *, expects_deliveries: bool) -> None:
        self.durations = RunTimes()
        self._timeout = timeout
        self._expects_deliveries = expects_deliveries
        # Ends that were seen before they were delivered, one after another.
        self._undelivered_ends = 0
        self.hurried = False
        self._runs: dict[int, _ScheduledRun] = {}
        # Those that have ended for sure; those by the time from which an eager look is due; and those past
        # it, by the time of a patient one. Each entry is of a version of the run.
        self._delivered: deque[tuple[int, int]] = deque()
        self._early: list[_Entry] = []
        self._late: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, row: int, submitted_at: float, *, exact: bool, soon: bool = False) -> None:
        """The run of this row goes on.

        :param exact: whether that is when it was submitted, or when this try took it over.
        :param soon: whether its first look is soon, though its delivery is expected.
        """
        run = self._runs[row] = _ScheduledRun(submitted_at, exact=exact, soon=soon)
        self._note(row, run)

    def submitted_at(self, row: int) -> float | None:
        """When the run was submitted, or taken over; None if it is not watched."""
        return self._runs[row].submitted_at if row in self._runs else None

    def __contains__(self, row: int) -> bool:
        return row in self._runs

    def is_being_polled(self, row: int) -> bool:
        """Whether a look at the run is under way."""
        return self._runs[row].looking

    def hint(self, row: int) -> None:
        """The end of this run has been delivered: it is looked at next, unless it is just looked at."""
        run = self._runs[row]
        self._undelivered_ends = 0
        if not run.delivered:
            run.delivered = True
            if not run.looking:
                run.version += 1
                self._delivered.append((row, run.version))

    def begin_poll(self, row: int) -> None:
        """A look at the run leaves; until it is answered, no other does."""
        run = self._runs[row]
        run.looking = True
        run.version += 1

    def not_ended(self, row: int, now: float, not_before: float) -> None:
        """A look found the run under way, or found nothing out.

        :param not_before: seconds to leave it alone for, if it found nothing out; else 0.
        """
        run = self._runs[row]
        run.looking = False
        run.poll_from = now + not_before
        if not not_before:
            run.not_ended_at = now - run.submitted_at
            if run.exact:
                self.durations.not_ended(run.not_ended_at)
        self._note(row, run)

    def ended(self, row: int, now: float, took: float | None) -> None:
        """The run has ended, if it was watched.

        :param took: seconds from its submission to its end as BitScale tells them.
        """
        run = self._runs.pop(row, None)
        if run is None:
            return
        self._undelivered_ends += not run.delivered
        if run.exact:
            self.durations.ended(run.not_ended_at, now - run.submitted_at, took)

    def drop(self, row: int) -> None:
        """Watch the run no more."""
        self._runs.pop(row, None)

    def hurry(self, now: float) -> None:
        """Time is up: each run is due for a last look."""
        self.hurried = True
        self._delivered.clear()
        self._early = [(now, row, self._runs[row].version) for row in self.resting()]
        self._late = []

    def resting(self) -> list[int]:
        """The rows whose runs are not just being looked at."""
        return [row for row, run in self._runs.items() if not run.looking]

    def next_poll(self, now: float, *, eager: bool) -> int | None:
        """The run to look at now, if there is one; first those that have ended, then the one overdue most."""
        while self._delivered:
            if self._current(*self._delivered[0]):
                return self._delivered[0][0]
            self._delivered.popleft()
        while self._early and self._early[0][0] <= now:
            _, row, version = heapq.heappop(self._early)
            if (run := self._current(row, version)) is None:
                continue
            if (due := self._due(run, EAGER)) > now:
                heapq.heappush(self._early, (due, row, version))
            else:
                heapq.heappush(self._late, (self._due(run, PATIENT), row, version))
        while self._late and (eager or self._late[0][0] <= now):
            _, row, version = self._late[0]
            if (run := self._current(row, version)) is None:
                heapq.heappop(self._late)
            elif eager or (due := self._due(run, PATIENT)) <= now:
                return row
            else:
                heapq.heapreplace(self._late, (due, row, version))
        return None

    def next_poll_at(self, *, eager: bool) -> float | None:
        """When there may be a run to look at, if there is none now; None for never."""
        return min((heap[0][0] for heap in (self._early, [] if eager else self._late) if heap), default=None)

    def _note(self, row: int, run: _ScheduledRun) -> None:
        heapq.heappush(self._early, (self._due(run, EAGER), row, run.version))

    def _current(self, row: int, version: int) -> _ScheduledRun | None:
        run = self._runs.get(row)
        return run if run is not None and run.version == version else None

    def _is_to_be_delivered(self, run: _ScheduledRun) -> bool:
        return self._expects_deliveries and not run.delivered and self._undelivered_ends < FORGIVEN

    def _due(self, run: _ScheduledRun, impatience: float) -> float:
        if self.hurried:
            return run.poll_from
        if not run.exact:
            # An earlier try's run: it has probably ended, so the first look is at once.
            poll = FIRST_POLL + 1.5 * run.not_ended_at if run.not_ended_at else 0.0
        else:
            poll = self.durations.next_poll(run.not_ended_at, impatience)
        if self._is_to_be_delivered(run) and (run.exact or run.not_ended_at):
            # A run that takes as long as others may just be about to be told.
            seldom = max(run.not_ended_at + SELDOM_SECONDS, 2 * self.durations.long_run)
            poll = max(poll, SOON_SECONDS if run.soon and not run.not_ended_at else seldom)
        return max(run.poll_from, run.submitted_at + min(poll, self._timeout))

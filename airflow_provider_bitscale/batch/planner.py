"""Pure: what the next request of a batch is best spent on.

The rate limit counts looks at runs as well as submissions, so a batch is as fast as its looks are few. While
rows wait to be submitted, a run is looked at when it has probably ended; once none does, looks cost nothing,
and come soon. Near the end rows go first: what is in flight by then can be looked at while the last runs take
their time.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_bitscale.batch.budget import Budget
from airflow_provider_bitscale.batch.durations import EAGER, FIRST_LOOK, PATIENT, Durations
from airflow_provider_bitscale.batch.rate import Rate

# Before more are started, this many runs show whether they come to anything; then as many again for each.
FIRST_IN_FLIGHT = 250
IN_FLIGHT_PER_ENDED = 2
# Below so many examples, nobody knows how long a long run is.
KNOWN = 20


@dataclass(frozen=True)
class Submit:
    """Submit this row."""

    row: int


@dataclass(frozen=True)
class Look:
    """Look at the run of this row."""

    row: int


@dataclass(frozen=True)
class Rest:
    """Nothing to do before so many seconds have passed, or something has happened; None: just the latter."""

    seconds: float | None


@dataclass(frozen=True)
class Done:
    """Every row that was submitted is settled, and no other will be."""


Step: TypeAlias = "Submit | Look | Rest | Done"


@dataclass
class _Watched:
    """A run in flight; times in seconds of the planner's clock."""

    submitted_at: float
    # Whether that is when it was submitted, or when this try took it over.
    exact: bool
    not_ended_at: float = 0.0
    look_from: float = 0.0
    looking: bool = False


class Planner:
    """Decides one step at a time; rows are known by number. Time is passed in, in seconds.

    :param rows: how many rows may still be submitted.
    :param budget: asked before each submission.
    :param max_in_flight: runs that may be under way at once; None for no such limit.
    :param timeout: the age at which a run is looked at in any case.
    """

    def __init__(
        self, rows: int, budget: Budget, max_in_flight: int | None = None, timeout: float = float("inf")
    ) -> None:
        self.rows_left = rows
        self.stopped = False
        self.settled = 0
        self.durations = Durations()
        self.requests = Rate()
        self._budget = budget
        self._max_in_flight = max_in_flight
        self._timeout = timeout
        self._hurry = False
        self._submit_from = 0.0
        self._ready: deque[int] = deque()
        self._posting: dict[int, float] = {}
        self._watched: dict[int, _Watched] = {}
        # Runs by the time from which an eager look is due, and those past it by the time of a patient one.
        # A run is in one of them, or is looked at.
        self._early: list[tuple[float, int]] = []
        self._late: list[tuple[float, int]] = []

    @property
    def ready(self) -> int:
        """Rows that could be submitted now."""
        return len(self._ready)

    @property
    def in_flight(self) -> int:
        """Runs under way, and submissions on their way."""
        return len(self._posting) + len(self._watched)

    @property
    def expected_credits(self) -> float | None:
        """Credits spent, and reserved for what is in flight; None while no cost is known."""
        return None if self._budget.expected is None else self._budget.committed

    def age(self, row: int, now: float) -> float:
        """Seconds since the row's run was submitted, or taken over from an earlier try."""
        run = self._watched.get(row)
        return now - (self._posting.get(row, now) if run is None else run.submitted_at)

    def add(self, rows: list[int]) -> None:
        """These rows may be submitted: their intent is written down."""
        self._ready.extend(rows)

    def resume(self, row: int, now: float) -> None:
        """The run of this row was submitted by an earlier try."""
        self.rows_left -= 1
        self._budget.reserve()
        self._watch(row, _Watched(now, exact=False), now)

    def skip(self, rows: int) -> None:
        """So many rows will not be submitted: they are settled already, or given up."""
        self.rows_left -= rows

    def stop(self) -> list[int]:
        """Submit no more.

        :return: the rows that were ready, and now are not.
        """
        self.stopped = True
        taken_back = list(self._ready)
        self._ready.clear()
        return taken_back

    def requests_left(self, per_row: int) -> int:
        """Requests that are needed at least.

        :param per_row: one if a submission is answered with the result, two if its run is to be looked at.
        """
        to_submit = 0 if self.stopped else self.rows_left
        return per_row * to_submit + (per_row - 1) * len(self._posting) + len(self._watched)

    def leave(self) -> list[int]:
        """Look at no more runs; those that are looked at now are not among them.

        :return: the rows whose runs are left as they are.
        """
        left = [row for row, run in self._watched.items() if not run.looking]
        for row in left:
            self.given_up(row)
        self._early, self._late = [], []
        return left

    def hurry(self, now: float) -> None:
        """Time is up: each run is due for a last look."""
        self._hurry = True
        self._early = [(now, row) for row, run in self._watched.items() if not run.looking]
        self._late = []

    def next(self, now: float) -> Step:
        """What to do now. Nothing is noted until :meth:`begin`."""
        if not self.in_flight and (self.stopped or not self.rows_left):
            return Done()
        submits = self._may_submit(now)
        look = self._due_look(now, eager=not submits)
        if submits and (look is None or self._rows_go_first(now)):
            return Submit(self._ready[0])
        if look is not None:
            return Look(look)
        return Rest(self._until_next(now, eager=not submits))

    def out_of_budget(self) -> bool:
        """Whether rows are left, and nothing is under way that could free credits for them."""
        return not self.stopped and bool(self._ready) and not self.in_flight and not self._budget.allows()

    def begin(self, step: Submit | Look, now: float) -> None:
        """The request of this step leaves."""
        self.requests.count(now)
        if isinstance(step, Submit):
            self._ready.popleft()
            self.rows_left -= 1
            self._posting[step.row] = now
            self._budget.reserve()
            return
        # It is the one that :meth:`next` found first. While it is looked at it waits for no other look.
        heapq.heappop(self._late)
        self._watched[step.row].looking = True

    def accepted(self, row: int, now: float) -> None:
        """The submission was answered with a run that goes on."""
        self._watch(row, _Watched(self._posting.pop(row, now), exact=True), now)

    def put_back(self, row: int, submit_from: float = 0.0) -> None:
        """The submission provably was not processed: the row may be submitted again.

        :param submit_from: when anything may be submitted again.
        """
        self._submit_from = max(self._submit_from, submit_from)
        del self._posting[row]
        self._budget.release()
        self.rows_left += 1
        self._ready.appendleft(row)

    def submit_again(self, row: int) -> None:
        """Nobody knows what became of the submission, and the user would rather pay twice."""
        del self._posting[row]
        self._budget.settle(None)
        self.rows_left += 1
        self._ready.append(row)

    def refused(self, row: int) -> None:
        """The submission was refused for good, and no run was started."""
        del self._posting[row]
        self._budget.release()
        self.settled += 1

    def not_ended(self, row: int, now: float, not_before: float = 0.0) -> None:
        """A look found the run under way, or found nothing out.

        :param not_before: seconds to leave it alone for.
        """
        run = self._watched[row]
        run.looking = False
        run.look_from = now + not_before
        if not not_before:
            run.not_ended_at = now - run.submitted_at
            if run.exact:
                self.durations.not_ended(run.not_ended_at)
        self._watch(row, run, now)

    def ended(self, row: int, now: float, credits: float | None, took: float | None = None) -> None:
        """The run has ended, or is given up.

        :param credits: what it cost, None where that is not known.
        :param took: seconds from its submission to its end as BitScale tells them.
        """
        run = self._watched.pop(row, None)
        if run is not None and run.exact:
            self.durations.ended(run.not_ended_at, now - run.submitted_at, took)
        self._posting.pop(row, None)
        self._budget.settle(credits)
        self.settled += 1

    def given_up(self, row: int) -> None:
        """Nobody knows what became of the run, nor what it cost; no more will be asked."""
        self._watched.pop(row, None)
        self._posting.pop(row, None)
        self._budget.settle(None)
        self.settled += 1

    def _watch(self, row: int, run: _Watched, now: float) -> None:
        self._watched[row] = run
        heapq.heappush(self._early, (self._due(run, EAGER), row))

    def _may_submit(self, now: float) -> bool:
        if not self._ready or self.stopped or now < self._submit_from:
            return False
        return self._has_room() and self._budget.allows()

    def _has_room(self) -> bool:
        if self._max_in_flight is not None and self.in_flight >= self._max_in_flight:
            return False
        return self.in_flight < FIRST_IN_FLIGHT + IN_FLIGHT_PER_ENDED * self.settled

    def _rows_go_first(self, now: float) -> bool:
        """Whether all that is left could be looked at within the length of a long run."""
        if len(self.durations) < KNOWN:
            return False
        return self.rows_left + self.in_flight <= self.requests.per_second(now) * self.durations.long_run

    def _due(self, run: _Watched, impatience: float) -> float:
        if self._hurry:
            return run.look_from
        if not run.exact:
            # An earlier try's run: it has probably ended, so the first look is at once.
            look = FIRST_LOOK + 1.5 * run.not_ended_at if run.not_ended_at else 0.0
        else:
            look = self.durations.next_look(run.not_ended_at, impatience)
        return max(run.look_from, run.submitted_at + min(look, self._timeout))

    def _due_look(self, now: float, *, eager: bool) -> int | None:
        """The run to look at now, if there is one; the one that is overdue most."""
        while self._early and self._early[0][0] <= now:
            _, row = heapq.heappop(self._early)
            run = self._watched[row]
            if (due := self._due(run, EAGER)) > now:
                heapq.heappush(self._early, (due, row))
            else:
                heapq.heappush(self._late, (self._due(run, PATIENT), row))
        while self._late and (eager or self._late[0][0] <= now):
            row = self._late[0][1]
            if eager or (due := self._due(self._watched[row], PATIENT)) <= now:
                return row
            heapq.heapreplace(self._late, (due, row))
        return None

    def _until_next(self, now: float, *, eager: bool) -> float | None:
        times = [heap[0][0] for heap in ((self._early,) if eager else (self._early, self._late)) if heap]
        if self._ready and self._submit_from > now:
            times.append(self._submit_from)
        return max(0.0, min(times) - now) if times else None

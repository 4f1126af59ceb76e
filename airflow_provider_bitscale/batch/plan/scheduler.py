"""Pure: what the next request of a batch is best spent on.

The rate limit counts polls as well as submissions, so a batch is as fast as its polls are few. While rows
wait to be submitted, a run is polled when it has probably ended; once none does, polls cost nothing, and come
soon. Near the end rows go first: what is in flight by then can be polled while the last runs take their time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from airflow_provider_bitscale.batch.plan.ambiguous import AmbiguousRows
from airflow_provider_bitscale.batch.plan.batch_row import (
    AMBIGUOUS,
    ANNOUNCED,
    NEW,
    POLLING,
    READY,
    RUNNING,
    SENDING,
    UNREADABLE,
    BatchRow,
    State,
)
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.lifecycle import Effect, Event, Transition, move
from airflow_provider_bitscale.batch.plan.outage import Outage
from airflow_provider_bitscale.batch.plan.poll_schedule import PollSchedule
from airflow_provider_bitscale.batch.plan.throughput import Rate
from airflow_provider_bitscale.batch.row_result import RowResult

# Below this many examples it is not known how long a long run is.
KNOWN = 20


@dataclass(frozen=True, slots=True)
class SubmitRow:
    """Submit this row."""

    row: BatchRow


@dataclass(frozen=True, slots=True)
class PollRow:
    """Poll the run of this row."""

    row: BatchRow


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing for this many seconds, or until something has happened; None: until then."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """Every row that was submitted has its result, and no other will be submitted."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Wait no more for the deliveries of these rows."""

    rows: list[BatchRow]


@dataclass(frozen=True, slots=True)
class OutOfBudget:
    """Rows are left, and nothing is under way that could free credits for them."""


Step: TypeAlias = "SubmitRow | PollRow | GiveUp | OutOfBudget | Rest | Done"


class Scheduler:
    """Takes in what happens to rows, and decides one step at a time. Time is passed in, in seconds.

    :param rows: how many rows the batch has that are in no finished segment.
    :param timeout: the age at which a run is polled in any case, and an ambiguous row given up.
    :param expects_deliveries: whether ends are delivered: then polls are rare until that has happened.
    """

    def __init__(
        self,
        rows: int,
        budget: Budget,
        brake: Brake,
        timeout: float = inf,
        *,
        expects_deliveries: bool = False,
    ) -> None:
        self.stopped = False
        # Rows of which it is known what became of them: not those that were given up.
        self.known = 0
        self.requests = Rate()
        self.brake = brake
        self.outage = Outage()
        self.polls = PollSchedule(timeout, expects_deliveries=expects_deliveries)
        self._budget = budget
        self._submit_from = 0.0
        # How many rows are in each state; those of segments that are not open yet are NEW.
        self._count = dict.fromkeys(State, 0)
        self._count[NEW] = rows
        # The order of the rows that are READY.
        self._queue: deque[BatchRow] = deque()
        self._ambiguous = AmbiguousRows(timeout)
        # Seconds, of those that BitScale reported.
        self._longest_run: float | None = None

    @property
    def rows_left(self) -> int:
        """Rows that may still be submitted."""
        count = self._count
        return count[NEW] + count[ANNOUNCED] + count[READY]

    @property
    def ready(self) -> int:
        """Rows that could be submitted now."""
        return self._count[READY]

    @property
    def in_flight(self) -> int:
        """Runs under way, and submissions on their way."""
        count = self._count
        return count[SENDING] + count[RUNNING] + count[POLLING]

    @property
    def awaiting(self) -> int:
        """Rows of which only a delivery would show what became of them."""
        return self._count[AMBIGUOUS] + self._count[UNREADABLE]

    @property
    def expected_credits(self) -> float | None:
        """Credits spent, and reserved for what is in flight; None while no cost is known."""
        return None if self._budget.expected is None else self._budget.committed

    @property
    def learns_costs(self) -> bool:
        """Whether rows wait until it is known what a run costs."""
        return self._budget.expected is None and not self._budget.allows()

    def apply(
        self,
        row: BatchRow,
        event: Event,
        now: float,
        *,
        run_id: str | None = None,
        result: RowResult | None = None,
        took: float | None = None,
        not_before: float = 0.0,
    ) -> Transition:
        """Take in what has happened to a row; see :func:`move`.

        :param took: seconds from the submission of its run to its end as BitScale reports them.
        :param not_before: seconds for which it is not to be polled, where a poll found nothing out.
        :return: what follows; what is to be written is left to the caller.
        """
        before = row.state
        transition = move(row, event, now, run_id=run_id, result=result)
        self._count[before] -= 1
        self._count[transition.to] += 1
        for effect in transition.planned:
            match effect:
                case Effect.RESERVE:
                    self._budget.reserve()
                case Effect.RELEASE:
                    self._budget.release()
                case Effect.CHARGE:
                    self._budget.settle(None if result is None else result.cost)
                case Effect.RECOVER:
                    self._budget.recover()
                case Effect.INHERIT:
                    self._budget.inherit()
                case Effect.LEARN:
                    self.known += 1
                    if took is not None:
                        self._longest_run = max(took, self._longest_run or 0.0)
                    if before is not SENDING:
                        self.polls.ended(row, now, took)
                case Effect.QUEUE:
                    self._queue.append(row)
                case Effect.QUEUE_FIRST:
                    self._queue.appendleft(row)
                case Effect.SCHEDULE_POLL:
                    if event is Event.RESUMED:
                        self.brake.note_resumed()
                    # Until one was understood, its delivery is not waited for long.
                    row.soon = event is Event.ACCEPTED and not self.brake.proven
                    self.polls.schedule(row)
                case Effect.POLL_AGAIN:
                    self.polls.not_ended(row, now, not_before)
                case Effect.POLL_NEXT:
                    self.polls.hint(row)
                case Effect.AWAIT:
                    self._ambiguous.add(row)
        return transition

    def hold(self, submit_from: float) -> None:
        """Submit nothing before this time."""
        self._submit_from = max(self._submit_from, submit_from)

    def stop(self) -> list[BatchRow]:
        """Submit no more; the rows that are READY, and to be retracted."""
        self.stopped = True
        rows = [row for row in self._queue if row.state is READY]
        self._queue.clear()
        return rows

    def hurry(self, now: float) -> None:
        """Make each run due for a last poll, and wait for no delivery: time is up."""
        self.polls.hurry(now)

    def requests_left(self, polls_per_run: int) -> int:
        """Return the requests that are needed, if all goes well.

        :param polls_per_run: one, or none where most results come by themselves.
        """
        to_submit = 0 if self.stopped else self.rows_left
        sending = self._count[SENDING]
        return to_submit + polls_per_run * (to_submit + sending) + self.in_flight - sending

    def next(self, now: float) -> Step:
        """Return what to do now. Nothing is noted until :meth:`begin`."""
        in_flight, awaiting, hurried = self.in_flight, self.awaiting, self.polls.hurried
        if awaiting and (overdue := self._overdue(now, in_flight)):
            return GiveUp(overdue)
        if not in_flight and (hurried or not awaiting) and (self.stopped or not self.rows_left):
            return Done()
        allows = not self.stopped and self._count[READY] > 0 and self._budget.allows()
        if not in_flight and not awaiting and not allows and self.ready and not self.stopped:
            return OutOfBudget()
        if not hurried and (rest := self.outage.rest(now)):
            return Rest(rest)
        submits = allows and now >= self._submit_from and self.brake.allows(in_flight, self.known)
        row = self.polls.next_row(now, eager=not submits) if self._count[RUNNING] else None
        if submits and (row is None or self._rows_go_first(now)):
            return SubmitRow(self._first_ready())
        return Rest(self._until_next(now, eager=not submits)) if row is None else PollRow(row)

    def begin(self, step: SubmitRow | PollRow, now: float) -> None:
        """Note that the request of this step leaves."""
        self.requests.count(now)
        if isinstance(step, SubmitRow):
            self._queue.popleft()
            self.apply(step.row, Event.SENT, now)
        else:
            self.apply(step.row, Event.POLLED, now)

    def take_ambiguous(self) -> list[BatchRow]:
        """Remove and return all ambiguous rows: the user would rather pay twice than wait for them."""
        return self._ambiguous.take_all()

    def _overdue(self, now: float, in_flight: int) -> list[BatchRow]:
        others_left = not self.stopped and self.rows_left
        is_blocked = self.ready and not self._budget.allows()
        longest = None if in_flight or (others_left and not is_blocked) else self._longest_run
        return self._ambiguous.overdue(now, longest)

    def _first_ready(self) -> BatchRow:
        while self._queue[0].state is not READY:
            # Its run was delivered meanwhile.
            self._queue.popleft()
        return self._queue[0]

    def _rows_go_first(self, now: float) -> bool:
        """Whether all that is left could be polled within the length of a long run."""
        run_times = self.polls.run_times
        if len(run_times) < KNOWN:
            return False
        return self.rows_left + self.in_flight <= self.requests.per_second(now) * run_times.long_run

    def _until_next(self, now: float, *, eager: bool) -> float | None:
        at = self.polls.next_at(eager=eager)
        if self.ready and self._submit_from > now:
            at = min(at, self._submit_from)
        return None if at == inf else max(0.0, at - now)

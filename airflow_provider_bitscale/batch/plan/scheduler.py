"""Pure: what the next request of a batch is best spent on.

The rate limit counts looks at runs as well as submissions, so a batch is as fast as its looks are few. While
rows wait to be submitted, a run is looked at when it has probably ended; once none does, looks cost nothing,
and come soon. Near the end rows go first: what is in flight by then can be looked at while the last runs take
their time.
"""

from __future__ import annotations

from collections import deque

from airflow_provider_bitscale.batch.plan.ambiguous import AmbiguousRows
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.outage import Outage
from airflow_provider_bitscale.batch.plan.poll_schedule import PollSchedule
from airflow_provider_bitscale.batch.plan.steps import Done, Poll, Rest, Step, Submit
from airflow_provider_bitscale.batch.plan.throughput import Rate

# Below so many examples, nobody knows how long a long run is.
KNOWN = 20


class Scheduler:
    """Decides one step at a time; rows are known by number. Time is passed in, in seconds.

    :param rows: how many rows may still be submitted.
    :param budget: asked before each submission.
    :param brake: asked before each submission, too.
    :param timeout: the age at which a run is looked at in any case, and a row in doubt given up.
    :param expects_deliveries: whether ends are delivered: then looks are rare until that has happened.
    """

    def __init__(
        self,
        rows: int,
        budget: Budget,
        brake: Brake,
        timeout: float = float("inf"),
        *,
        expects_deliveries: bool = False,
    ) -> None:
        self.rows_left = rows
        self.stopped = False
        # Rows of which it is known what became of them: not those that were given up.
        self.settled = 0
        self.requests = Rate()
        self.brake = brake
        self.outage = Outage()
        self._budget = budget
        self._submit_from = 0.0
        self._ready: deque[int] = deque()
        self._posting: dict[int, float] = {}
        self.watch = PollSchedule(timeout, expects_deliveries=expects_deliveries)
        self._doubts = AmbiguousRows(timeout)

    @property
    def ready(self) -> int:
        """Rows that could be submitted now."""
        return len(self._ready)

    @property
    def in_flight(self) -> int:
        """Runs under way, and submissions on their way."""
        return len(self._posting) + len(self.watch)

    @property
    def expected_credits(self) -> float | None:
        """Credits spent, and reserved for what is in flight; None while no cost is known."""
        return None if self._budget.expected is None else self._budget.committed

    @property
    def learns_costs(self) -> bool:
        """Whether rows wait until it is known what a run costs."""
        return self._budget.expected is None and not self._budget.allows()

    def age(self, row: int, now: float) -> float:
        """Seconds since the row's run was submitted, or taken over from an earlier try."""
        submitted_at = self.watch.submitted_at(row)
        return now - (self._posting.get(row, now) if submitted_at is None else submitted_at)

    def is_posting(self, row: int) -> bool:
        """Whether a submission of this row is on its way."""
        return row in self._posting

    def is_in_doubt(self, row: int) -> bool:
        """Whether it is waited for the row's delivery, which would tell that a run was started."""
        return row in self._doubts

    def is_watched(self, row: int) -> bool:
        """Whether the row's run is known, and has not ended as far as is known."""
        return row in self.watch

    def add(self, rows: list[int]) -> None:
        """These rows may be submitted: their intent is written down."""
        self._ready.extend(rows)

    def resume(self, row: int, now: float) -> None:
        """The run of this row was submitted by an earlier try."""
        self.rows_left -= 1
        self.brake.resumed()
        self._budget.reserve()
        self.watch.add(row, now, exact=False)

    def resume_doubt(self, row: int, now: float) -> None:
        """A run of this row may have been submitted by an earlier try, and its delivery would tell."""
        self.rows_left -= 1
        self._budget.inherit()
        self._doubts.add(row, now)

    def skip(self, rows: int) -> None:
        """So many rows will not be submitted: they are settled already, or given up."""
        self.rows_left -= rows

    def hold(self, submit_from: float) -> None:
        """Submit nothing before this time."""
        self._submit_from = max(self._submit_from, submit_from)

    def stop(self) -> list[int]:
        """Submit no more; the rows that were ready, and now are not."""
        self.stopped = True
        taken_back = list(self._ready)
        self._ready.clear()
        return taken_back

    def requests_left(self, polls_per_run: int) -> int:
        """Requests that are needed, if all goes well.

        :param polls_per_run: one, or none where most results come by themselves.
        """
        to_submit = 0 if self.stopped else self.rows_left
        return to_submit + polls_per_run * (to_submit + len(self._posting)) + len(self.watch)

    def leave(self) -> None:
        """Look at no more runs: they are left as they are."""
        for row in self.watch.resting():
            self.given_up(row)

    def hurry(self, now: float) -> None:
        """Time is up: each run is due for a last look, and no row in doubt is waited for."""
        self.watch.hurry(now)

    def next(self, now: float) -> Step:
        """What to do now. Nothing is noted until :meth:`begin`."""
        awaits_none = self.watch.hurried or not self._doubts
        if not self.in_flight and awaits_none and (self.stopped or not self.rows_left):
            return Done()
        if (rest := self.outage.rest(now)) and not self.watch.hurried:
            return Rest(rest)
        submits = self._may_submit(now)
        poll = self.watch.next_poll(now, eager=not submits)
        if submits and (poll is None or self._rows_go_first(now)):
            return Submit(self._ready[0])
        if poll is not None:
            return Poll(poll)
        return Rest(self._until_next(now, eager=not submits))

    def out_of_budget(self) -> bool:
        """Whether rows are left, and nothing is under way that could free credits for them."""
        if self.stopped or not self._ready or self._budget.allows():
            return False
        return not self.in_flight and not self._doubts

    def begin(self, step: Submit | Poll, now: float) -> None:
        """The request of this step leaves."""
        self.requests.count(now)
        if isinstance(step, Poll):
            self.watch.begin_poll(step.row)
            return
        self._ready.popleft()
        self.rows_left -= 1
        self._posting[step.row] = now
        self._budget.reserve()

    def accepted(self, row: int, now: float) -> None:
        """The submission was answered with a run that goes on."""
        # Until one was understood, its delivery is not waited for long.
        self.watch.add(row, self._posting.pop(row, now), exact=True, soon=not self.brake.proven)

    def put_back(self, row: int, submit_from: float = 0.0) -> None:
        """The submission provably was not processed: the row may be submitted again.

        :param submit_from: when anything may be submitted again.
        """
        self.hold(submit_from)
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

    def doubt(self, row: int, now: float) -> None:
        """Nobody knows what became of the submission, and a delivery would tell."""
        del self._posting[row]
        # Nobody knows what it has cost; and a few that were lost must not hold up all others.
        self._budget.settle(None)
        self._doubts.add(row, now)

    def doubt_ended(self, row: int, now: float) -> None:
        """A delivery told that a run of this row was started."""
        self._budget.recover()
        self.watch.add(row, self._doubts.end(row), exact=False)

    def withdraw(self, row: int, now: float) -> None:
        """A delivery told that a run of this row was started, which was to be submitted again."""
        if row in self._ready:
            self._ready.remove(row)
        self.rows_left -= 1
        self._budget.recover()
        self.watch.add(row, now, exact=False)

    def take_doubtful(self) -> list[int]:
        """The rows in doubt, to be added again: the user would rather pay twice than wait for them."""
        rows = self._doubts.end_all()
        self.rows_left += len(rows)
        return rows

    def give_up_doubtful(self, now: float) -> list[int]:
        """Settle the rows in doubt of which nobody will tell any more."""
        if not self._doubts:
            return []
        return self._doubts.give_up(now, only_they_are_left=self._only_doubts_are_left())

    def hint(self, row: int) -> None:
        """The end of this row's run has been delivered: it is looked at next."""
        self.watch.hint(row)

    def not_ended(self, row: int, now: float, not_before: float = 0.0) -> None:
        """A look found the run under way, or found nothing out.

        :param not_before: seconds to leave it alone for.
        """
        self.watch.not_ended(row, now, not_before)

    def ended(self, row: int, now: float, credits: float | None, took: float | None = None) -> None:
        """The run has ended.

        :param credits: what it cost, None where that is not known.
        :param took: seconds from its submission to its end as BitScale tells them.
        """
        self.watch.ended(row, now, took)
        if took is not None:
            self._doubts.ran(took)
        self._posting.pop(row, None)
        self._budget.settle(credits)
        self.settled += 1

    def given_up(self, row: int) -> None:
        """Nobody knows what became of the run, nor what it cost; no more will be asked."""
        self.watch.drop(row)
        self._posting.pop(row, None)
        self._budget.settle(None)

    def _may_submit(self, now: float) -> bool:
        if not self._ready or self.stopped or now < self._submit_from:
            return False
        return self.brake.allows(self.in_flight, self.settled) and self._budget.allows()

    def _only_doubts_are_left(self) -> bool:
        if self.in_flight:
            return False
        return self.stopped or not self.rows_left or (bool(self._ready) and not self._budget.allows())

    def _rows_go_first(self, now: float) -> bool:
        """Whether all that is left could be looked at within the length of a long run."""
        if len(self.watch.durations) < KNOWN:
            return False
        return (
            self.rows_left + self.in_flight <= self.requests.per_second(now) * self.watch.durations.long_run
        )

    def _until_next(self, now: float, *, eager: bool) -> float | None:
        times = [] if (look_at := self.watch.next_poll_at(eager=eager)) is None else [look_at]
        if self._ready and self._submit_from > now:
            times.append(self._submit_from)
        return max(0.0, min(times) - now) if times else None

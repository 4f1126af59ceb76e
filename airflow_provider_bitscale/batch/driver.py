"""Runs a batch: the planner says which request leaves next, and everything paid for is written down."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError, BitScaleError
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.batch.decisions import (
    Fate,
    Then,
    Trouble,
    after_failed_submission,
    after_look,
    stopped_by,
)
from airflow_provider_bitscale.batch.feeder import Feeder
from airflow_provider_bitscale.batch.planner import Done, Planner, Rest, Submit
from airflow_provider_bitscale.batch.progress import Progress
from airflow_provider_bitscale.batch.recorder import SECONDS_BETWEEN_WRITES, Recorder
from airflow_provider_bitscale.batch.shelf import Shelf
from airflow_provider_bitscale.batch.statuses import FAILED, SUCCEEDED, UNKNOWN, Settled
from airflow_provider_bitscale.runs.polling import RunDecision, Wait
from airflow_provider_bitscale.runs.result import unended_run_id

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.async_client import AsyncClient
    from airflow_provider_bitscale.api.models import RunRecipe

# After a look that saw nothing; longer where BitScale asks.
LOOK_AGAIN_SECONDS = 5.0
REPORT_SECONDS = 5.0
# After a look that was refused for a key that has been renewed.
RENEWED_SECONDS = 0.1
# How long last looks may take after the deadline.
LAST_LOOKS_SECONDS = 60.0
# How long a batch that is given up waits for answers: each is the id of a run that is paid for.
LAST_ANSWERS_SECONDS = 30.0
# A row whose submission is in doubt is submitted so often, where the user prefers that.
MAX_SUBMISSIONS = 3
# So often, at least, it is seen whether time is up.
_AT_MOST_SECONDS = 1.0

log = logging.getLogger(__name__)


class Connection(Protocol):
    """The client of the batch, made anew when the key has been rotated."""

    @property
    def client(self) -> AsyncClient:
        """The client to use now."""

    async def renew(self, refused: AsyncClient, left_at: float) -> bool:
        """Make the client anew, if the connection has another key by now; whether it has."""


@dataclass(frozen=True)
class BatchRequest:
    """What is asked for each row.

    :param output_columns: ids; None for all.
    :param timeout: seconds from its submission until a run is given up.
    :param deadline: Unix seconds at which the batch is given up; infinite for never.
    :param max_failed: rows that may fail.
    :param found: the outputs of a completed run, by output name.
    """

    grid_id: str
    mode: str
    output_columns: list[str] | None
    recipe: RunRecipe | None
    timeout: float
    deadline: float
    max_failed: int
    resubmit_ambiguous: bool
    found: Callable[[Run], dict[str, Any]]


class Driver:
    """Carries a batch through. Use once.

    :param connections: requests that may be under way at once.
    :param report: told how the batch goes, every few seconds, in a thread.
    """

    def __init__(
        self,
        request: BatchRequest,
        connection: Connection,
        plan: Planner,
        shelf: Shelf,
        recorder: Recorder,
        *,
        connections: int,
        report: Callable[[Progress], None],
    ) -> None:
        self._request = request
        self._connection = connection
        self._plan = plan
        self._shelf = shelf
        self._recorder = recorder
        self._connections = connections
        self._report = report
        self._under_way: set[asyncio.Task[None]] = set()
        self._happened = asyncio.Event()
        self._feeder = Feeder(
            plan,
            shelf,
            recorder,
            finished=lambda number: self._start(self._put_away(number)),
            happened=self._happened,
        )
        # How often a row was submitted without anybody knowing what became of it.
        self._doubtful_submissions: dict[int, int] = {}
        self._trouble = Trouble()
        self._trouble_seen_at = 0.0
        self._error: BaseException | None = None
        self._aborted = False
        self._in_last_looks = False

    def kill(self) -> None:
        """End soon, from within the event loop: answers that are on their way are taken in.

        No exception, which may hit where an answer is just being taken in, or be lost on its way.
        """
        self._aborted = True
        self._feeder.stop()

    async def run(self) -> None:
        """Run all rows that the budget, the limits and time allow.

        :raises BitScaleError: something is wrong that no retry of single rows can mend.
        """
        await self._feeder.take_over()
        recording = asyncio.create_task(self._recorder.run())
        helpers = [asyncio.create_task(each) for each in (self._feed(), self._report_often())]
        for helper in (recording, *helpers):
            helper.add_done_callback(self._ended)
        try:
            await self._drive()
        finally:
            for helper in helpers:
                helper.cancel()
            # They take back what they have announced.
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._wind_up(recording)
        self._report(self._progress())
        if self._error is not None:
            raise self._error

    async def _drive(self) -> None:
        slot: AsyncClient | None = None
        while not self._aborted:
            now = time.monotonic()
            self._keep_within_limits(now)
            step = self._plan.next(now)
            if isinstance(step, Done):
                break
            if isinstance(step, Rest) or len(self._under_way) >= self._connections:
                await self._something(step.seconds if isinstance(step, Rest) else None)
            elif slot is None:
                # By the time it comes, something else may be more useful.
                client = self._connection.client
                slot = client if await client.take_slot(_AT_MOST_SECONDS) else None
            else:
                self._plan.begin(step, now)
                self._start(
                    self._submit(step.row, slot) if isinstance(step, Submit) else self._look(step.row, slot)
                )
                slot = None
        if slot is not None:
            slot.give_back_slot()

    def _keep_within_limits(self, now: float) -> None:
        tally = self._shelf.tally
        if self._plan.out_of_budget():
            self._stop("max_credits")
        if tally.failed > self._request.max_failed and tally.stopped_by != "max_failed_rows":
            self._stop("max_failed_rows")
        if self._recorder.problem is not None and not self._plan.stopped:
            self._give_up_submitting(self._recorder.problem)
        overdue = time.time() - self._request.deadline
        if overdue >= 0 and not self._in_last_looks:
            self._in_last_looks = True
            self._stop("deadline")
            self._plan.hurry(now)
        if overdue >= LAST_LOOKS_SECONDS:
            # The rows stay as they are: a retry looks again.
            self._plan.leave()

    async def _submit(self, row: int, client: AsyncClient) -> None:
        request = self._request
        try:
            run = await client.send_now(
                lambda contract: contract.run_grid(
                    request.grid_id,
                    self._shelf.inputs(row),
                    mode=request.mode,
                    output_columns=request.output_columns,
                    recipe=request.recipe,
                    timeout=request.timeout if request.mode == "sync" else None,
                )
            )
            run_id = run.run_id if request.mode == "async" else unended_run_id(run, request.grid_id)
            if run_id is None and not run.status.is_terminal:
                raise AmbiguousSubmitError("the answer names no run")
        except BitScaleError as error:
            await self._not_submitted(row, error, client)
            return
        self._shelf.tally.submitted += 1
        self._trouble = Trouble()
        if run_id is None:
            settled = self._settled(run, run.run_id)
            self._recorder.answered(*self._shelf.place(row), settled)
            self._end(row, run, settled)
            return
        self._shelf.accepted(row, run_id)
        self._recorder.changed()
        self._plan.accepted(row, time.monotonic())

    async def _not_submitted(self, row: int, error: BitScaleError, client: AsyncClient) -> None:
        submissions = self._doubtful_submissions.get(row, 0) + 1
        may_pay_twice = self._request.resubmit_ambiguous and submissions < MAX_SUBMISSIONS
        then = after_failed_submission(error, may_pay_twice and not self._plan.stopped)
        if then is Then.SUBMIT_AGAIN:
            log.warning("Row %d is submitted again, and may be paid for twice: %s", row + 1, error)
            self._doubtful_submissions[row] = submissions
            self._shelf.tally.submitted += 1
            self._shelf.tally.untold += 1
            self._shelf.doubt(row)
            self._plan.submit_again(row)
        elif then is Then.PARK:
            self._shelf.tally.submitted += 1
            self._plan.given_up(row)
            self._settle(row, Settled(UNKNOWN, error=str(error)))
        elif then is Then.FAIL:
            settled = Settled(FAILED, error=str(error))
            self._recorder.answered(*self._shelf.place(row), settled)
            self._plan.refused(row)
            self._settle(row, settled)
        else:
            now = time.monotonic()
            # Requests that were under way together meet the same trouble, which counts once.
            if error.left_at >= self._trouble_seen_at:
                self._trouble, self._trouble_seen_at = self._trouble.after_failure(now), now
            self._plan.put_back(row, now + max(self._trouble.pause, error.retry_after or 0.0))
            if then is Then.STOP:
                self._shelf.tally.refusal = error
                self._stop(stopped_by(error))
            elif then is Then.ABORT or self._trouble.lasts(now):
                self._give_up_submitting(error)
            elif then is Then.RENEW and not await self._connection.renew(client, error.left_at):
                self._abort(error)
            elif self._plan.stopped:
                self._feeder.stop()

    async def _look(self, row: int, client: AsyncClient) -> None:
        run_id = self._shelf.run_id(row)
        try:
            seen: Run | BitScaleError = await client.send_now(
                lambda contract: contract.get_run(self._request.grid_id, run_id)
            )
        except BitScaleError as error:
            seen = error
        give_up_at = min(self._submitted_at(row) + self._request.timeout, self._request.deadline)
        step = RunDecision(give_up_at, LOOK_AGAIN_SECONDS, run_id).after(seen, time.time(), random.random())  # noqa: S311
        fate = after_look(seen, step, time_is_up=time.time() >= self._request.deadline)
        if fate is Fate.ENDED and isinstance(seen, Run):
            self._end(row, seen, self._settled(seen, run_id))
        elif fate is Fate.NOT_ENDED and isinstance(step, Wait):
            self._plan.not_ended(row, time.monotonic(), 0.0 if isinstance(seen, Run) else step.seconds)
        elif fate is Fate.LEFT:
            self._plan.given_up(row)
        elif fate is Fate.GIVEN_UP:
            last_seen = seen.reported_status if isinstance(seen, Run) else str(seen)
            self._plan.given_up(row)
            self._settle(row, Settled(UNKNOWN, run_id, error=f"given up: last seen {last_seen}"))
        elif isinstance(seen, BitScaleError):
            renewed = fate is Fate.RENEW and await self._connection.renew(client, seen.left_at)
            self._plan.not_ended(row, time.monotonic(), RENEWED_SECONDS if renewed else LOOK_AGAIN_SECONDS)
            if not renewed:
                self._abort(seen)

    def _settled(self, run: Run, run_id: str | None) -> Settled:
        credits = run.credits.consumed if run.credits else None
        if run.status is RunStatus.COMPLETED:
            return Settled(SUCCEEDED, run_id, credits, outputs=self._request.found(run))
        return Settled(FAILED, run_id, credits, run.error or "BitScale gave no reason")

    def _end(self, row: int, run: Run, settled: Settled) -> None:
        credits = None if settled.is_untold else settled.credits or 0
        took = None
        if run.completed_at is not None:
            # BitScale's times have whole seconds only.
            took = run.completed_at.timestamp() + 1.0 - self._submitted_at(row)
        self._plan.ended(row, time.monotonic(), credits, took)
        self._settle(row, settled)

    def _submitted_at(self, row: int) -> float:
        return time.time() - self._plan.age(row, time.monotonic())

    def _settle(self, row: int, settled: Settled) -> None:
        finished = self._shelf.settle(row, settled)
        if finished is not None:
            self._start(self._put_away(finished))

    async def _put_away(self, number: int) -> None:
        await self._shelf.put_away(number)
        self._recorder.changed()

    async def _feed(self) -> None:
        try:
            await self._feeder.feed()
        except Exception as error:
            self._give_up_submitting(error)

    def _stop(self, reason: str) -> None:
        """Submit no more; what is in flight is collected."""
        self._shelf.tally.stop(reason)
        self._feeder.stop()

    def _give_up_submitting(self, error: BaseException) -> None:
        """Something is wrong: submit no more, collect what is in flight, then raise."""
        self._error = self._error or error
        self._feeder.stop()

    def _abort(self, error: BaseException) -> None:
        """Nothing can be asked any more."""
        self._give_up_submitting(error)
        self._aborted = True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._happened.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._abort(error)

    async def _something(self, seconds: float | None) -> None:
        """Wait until something has happened, for so many seconds at most."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(
                self._happened.wait(), min(_AT_MOST_SECONDS if seconds is None else seconds, _AT_MOST_SECONDS)
            )
        self._happened.clear()

    async def _wind_up(self, recording: asyncio.Task[None]) -> None:
        """Whatever ended the batch: take in the answers that are on their way, and write everything down.

        Answers are recorded as they come: whoever sent SIGTERM may send SIGKILL before the last is there.
        """
        self._feeder.stop()
        until = time.monotonic() + LAST_ANSWERS_SECONDS
        while self._under_way and time.monotonic() < until:
            # An answer may be the last of a segment, which is then to be written.
            await asyncio.wait(self._under_way, timeout=1.0)
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await self._recorder.write()
        while self._recorder.problem and self._shelf.tally.submitted and time.monotonic() < until:
            # It is about runs that are paid for.
            await asyncio.sleep(SECONDS_BETWEEN_WRITES)
            await self._recorder.write()
        if self._recorder.problem is not None:
            self._error = self._error or self._recorder.problem

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            reporting = asyncio.ensure_future(asyncio.to_thread(self._report, self._progress()))
            try:
                await asyncio.shield(reporting)
            finally:
                # The last report must not be overtaken by this one.
                await asyncio.wait([reporting])

    def _progress(self) -> Progress:
        tally = self._shelf.tally
        return Progress(
            rows=self._shelf.rows,
            counts=dict(tally.counts),
            in_flight=self._plan.in_flight,
            credits_spent=tally.credits,
            credits_expected=self._plan.expected_credits,
            requests_per_second=self._plan.requests.per_second(time.monotonic()),
            requests_left=self._plan.requests_left(1 if self._request.mode == "sync" else 2),
            limit_per_second=self._connection.client.requests_per_second,
            stopped_by=tally.stopped_by,
        )

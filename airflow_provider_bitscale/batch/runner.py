"""Runs a batch: the scheduler decides which request leaves next, and all that is paid for is written down."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from airflow_provider_bitscale.batch.inbox import Inbox
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.plan.scheduler import Done, GiveUp, OutOfBudget, Rest, SubmitRow
from airflow_provider_bitscale.batch.polls import Polls
from airflow_provider_bitscale.batch.prefetch import Prefetch
from airflow_provider_bitscale.batch.progress import Progress, hindrance_of
from airflow_provider_bitscale.batch.row_result import UNKNOWN, RowResult
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.batch.store.journal import Changes
from airflow_provider_bitscale.batch.store.journal_writer import (
    MOST_UNWRITTEN_SECONDS,
    SECONDS_BETWEEN_WRITES,
    is_lost,
)
from airflow_provider_bitscale.batch.submissions import Submissions
from airflow_provider_bitscale.runs.run_lengths import MOST_LENGTHS, aread_lengths, ashare_lengths
from airflow_provider_bitscale.runs.run_record import NOT_TOLD
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue

log = logging.getLogger(__name__)

REPORT_SECONDS = 5.0
# How long last polls may take after the deadline.
LAST_POLLS_SECONDS = 60.0
# How long a batch that is given up waits for answers: each is the id of a run that is paid for.
WIND_UP_SECONDS = 30.0
# So often, at least, it is seen whether time is up.
_AT_MOST_SECONDS = 1.0
# Lengths of runs that a batch begins with: soon its own ones count.
_TAKEN_OVER = 10
# So often, while nothing may be submitted, it is seen whether the store has caught up.
_HOLD_SECONDS = 0.1


class Runner:
    """Carries a batch through. Use once.

    :param connections: requests that may be under way at once.
    :param report: called with the progress every few seconds, in a thread.
    :param leave: given what the store has not taken when the batch ends, in a thread; perhaps repeatedly.
    :param delivery_queue: where deliveries come; None where none are expected.
    """

    def __init__(
        self,
        batch: RunningBatch,
        *,
        connections: int,
        report: Callable[[Progress], None],
        leave: Callable[[Changes], None],
        delivery_queue: DeliveryQueue | None = None,
    ) -> None:
        self._batch = batch
        self._inbox = Inbox(batch, delivery_queue)
        self._prefetch = Prefetch(batch)
        self._submissions = Submissions(batch, self._inbox)
        self._polls = Polls(batch)
        self._connections = connections
        self._report = report
        self._leave = leave
        self._in_last_polls = False
        # Ends that other processes were told of.
        self._told_ends = 0

    def kill(self) -> None:
        """End soon, from within the event loop: answers that are on their way are taken in.

        No exception, which may hit where an answer is just being taken in, or be lost on its way.
        """
        self._batch.aborted = True
        self._batch.stop_submitting()

    async def run(self) -> None:
        """Run all rows that the budget, the limits and time allow.

        :raises BitScaleError: something is wrong that no retry of single rows can mend.
        """
        batch = self._batch
        known = await aread_lengths(batch.client.hints, batch.request.grid_id)
        batch.plan.polls.run_times.learn(known[-_TAKEN_OVER:])
        await self._prefetch.take_over()
        for row in batch.plan.polls.rows():
            batch.claim(row, str(row.run_id))
        # Before anything is submitted: what a delivery has a run of is paid for.
        await self._inbox.collect()
        if batch.request.resubmit_ambiguous:
            self._prefetch.submit_ambiguous()
        # Rows may have failed in earlier tries.
        batch.stop_if_too_many_failed()
        recording = asyncio.create_task(batch.journal_writer.run())
        helpers = [
            asyncio.create_task(each) for each in (self._feed(), self._inbox.listen(), self._report_often())
        ]
        for helper in (recording, *helpers):
            helper.add_done_callback(batch.work_ended)
        try:
            await self._drive()
        finally:
            batch.client.give_back_slots()
            for helper in helpers:
                helper.cancel()
            # They take back what they have announced.
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._wind_up(recording)
            await self._share_run_times()
        self._report_now(self._progress())
        if batch.error is not None:
            raise batch.error

    async def _drive(self) -> None:
        batch = self._batch
        while not batch.aborted:
            now = time.monotonic()
            self._keep_within_limits(now)
            step = batch.plan.next(now)
            if isinstance(step, Done):
                break
            if isinstance(step, OutOfBudget):
                batch.stop("max_credits")
            elif isinstance(step, GiveUp):
                for row in step.rows:
                    result = row.fallback or RowResult(UNKNOWN, error=NOT_TOLD)
                    batch.apply(row, Event.GIVEN_UP, result=result)
            elif isinstance(step, Rest) or len(batch.under_way) >= self._connections:
                batch.client.give_back_slots()
                seconds = step.seconds if isinstance(step, Rest) else None
                await batch.wait_for_change(min(_AT_MOST_SECONDS, math.inf if seconds is None else seconds))
            elif batch.client.take_slot():
                batch.plan.begin(step, now)
                batch.start(
                    self._submissions.submit(step.row)
                    if isinstance(step, SubmitRow)
                    else self._polls.poll(step.row)
                )
            elif delay := await batch.client.book_slot():
                # After that, something else may be more useful; so it may once a slot is booked.
                await asyncio.sleep(min(_AT_MOST_SECONDS, delay))

    def _keep_within_limits(self, now: float) -> None:
        batch = self._batch
        self._keep_pace_with_store(now)
        overdue = time.time() - batch.request.deadline
        if overdue >= 0 and not self._in_last_polls:
            self._in_last_polls = True
            batch.stop("deadline")
            batch.plan.hurry(now)
        if overdue >= LAST_POLLS_SECONDS:
            # The rows stay as they are: a retry polls again.
            for row in batch.plan.polls.rows():
                batch.apply(row, Event.LEFT)

    def _keep_pace_with_store(self, now: float) -> None:
        """Submit nothing while ids of runs wait to be durable; give up when they wait for too long."""
        batch, journal_writer = self._batch, self._batch.journal_writer
        seconds = journal_writer.unwritten_seconds()
        if seconds > MOST_UNWRITTEN_SECONDS:
            batch.plan.hold(now + _HOLD_SECONDS)
        problem = journal_writer.problem
        if problem is not None and not batch.plan.stopped and is_lost(problem, seconds):
            batch.give_up_submitting(problem)

    async def _feed(self) -> None:
        try:
            await self._prefetch.feed()
        except Exception as error:
            self._batch.give_up_submitting(error)

    async def _wind_up(self, recording: asyncio.Task[None]) -> None:
        """Take in the answers that are on their way, and write everything down, whatever ended the batch.

        Answers are recorded as they come, since a SIGKILL may follow the SIGTERM before the last one.
        """
        batch = self._batch
        batch.stop_submitting()
        until = time.monotonic() + WIND_UP_SECONDS
        while batch.under_way and time.monotonic() < until:
            # An answer may be the last of a segment, which is then to be written.
            await asyncio.wait(batch.under_way, timeout=1.0)
            await self._leave_unsaved()
        await self._leave_unsaved()
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        journal_writer = batch.journal_writer
        await journal_writer.write()
        while journal_writer.problem and batch.segments.tally.submitted and not self._gives_up_store(until):
            # It is about runs that are paid for.
            await self._leave_unsaved()
            await asyncio.sleep(SECONDS_BETWEEN_WRITES)
            await journal_writer.write()
        if journal_writer.problem is not None:
            await self._leave_unsaved()
            batch.error = batch.error or journal_writer.problem

    def _gives_up_store(self, until: float) -> bool:
        problem = self._batch.journal_writer.problem
        if self._batch.aborted:
            return time.monotonic() >= until
        return problem is not None and is_lost(problem, self._batch.journal_writer.unwritten_seconds())

    async def _leave_unsaved(self) -> None:
        """Leave what the store has not taken where a retry finds it, before the process is killed."""
        journal_writer = self._batch.journal_writer
        if journal_writer.problem is not None or journal_writer.unwritten_seconds() > MOST_UNWRITTEN_SECONDS:
            await asyncio.to_thread(self._leave, journal_writer.unsaved())

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            await self._share_run_times()
            reporting = asyncio.ensure_future(asyncio.to_thread(self._report_now, self._progress()))
            try:
                await asyncio.shield(reporting)
            finally:
                # The last report must not be overtaken by this one.
                await asyncio.wait([reporting])

    async def _share_run_times(self) -> None:
        batch, run_times = self._batch, self._batch.plan.polls.run_times
        new = run_times.latest(min(run_times.ended - self._told_ends, MOST_LENGTHS))
        self._told_ends = run_times.ended
        if new:
            await ashare_lengths(batch.client.hints, batch.request.grid_id, new)

    def _report_now(self, progress: Progress) -> None:
        try:
            self._report(progress)
        except Exception:
            # What has been paid for is worth more than a report.
            log.exception("The progress of the batch could not be reported")

    def _progress(self) -> Progress:
        batch = self._batch
        tally, now = batch.segments.tally, time.monotonic()
        return Progress(
            rows=batch.segments.rows,
            counts=dict(tally.counts),
            in_flight=batch.plan.in_flight,
            credits_spent=tally.credits,
            runs_without_credits=tally.unknown_costs,
            credits_expected=batch.plan.expected_credits,
            requests_per_second=batch.plan.requests.per_second(now),
            requests_left=batch.plan.requests_left(0 if batch.request.results_come else 1),
            limit_per_second=batch.client.requests_per_second,
            stopped_by=tally.stopped_by,
            hindrance=hindrance_of(batch.plan, now, time.time()),
            error=None if batch.error is None else str(batch.error) or type(batch.error).__name__,
        )

"""The polls of one run, planned by how long other runs of its grid took; and what it adds to that."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.runs.outcome import COMPLETED, FAILED, Outcome
from airflow_provider_bitscale.runs.poll_loop import watch, watch_async
from airflow_provider_bitscale.runs.polling import NO_WAIT, RunDecision, Wait
from airflow_provider_bitscale.runs.run_lengths import (
    aread_lengths,
    ashare_lengths,
    read_lengths,
    share_lengths,
)
from airflow_provider_bitscale.runs.run_times import RunTimes, likely_length

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.client import Client
    from airflow_provider_bitscale.runs.run_record import Record

# How often, at most, the first poll is put off by what others have learned meanwhile.
_MOST_LOOKS = 4
# A poll that is due so soon is due.
_SOON_SECONDS = 0.1


class PlannedPolls:
    """Waits for one run whose submission is known, and polls it first when it has probably ended.

    :param submitted_at: Unix seconds.
    """

    def __init__(self, hints: Hints, grid_id: str, decision: RunDecision, submitted_at: float) -> None:
        self._hints = hints
        self._grid_id = grid_id
        self._decision = decision
        self._submitted_at = submitted_at
        self._run_times = RunTimes()
        self._not_ended_at = 0.0
        self._lengths: list[float] = []

    def watch(self, poll: Callable[[], Run]) -> Outcome:
        """Poll until there is an outcome, blocking."""
        self._run_times = RunTimes(read_lengths(self._hints, self._grid_id))
        for seconds in self._until_first_poll():
            time.sleep(seconds)
            self._run_times = RunTimes(read_lengths(self._hints, self._grid_id))
        outcome = watch(poll, self, NO_WAIT)
        if self._lengths:
            share_lengths(self._hints, self._grid_id, self._lengths)
        return outcome

    async def watch_async(self, poll: Callable[[], Awaitable[Run]]) -> Outcome:
        """Async twin of :meth:`watch`."""
        self._run_times = RunTimes(await aread_lengths(self._hints, self._grid_id))
        for seconds in self._until_first_poll():
            await asyncio.sleep(seconds)
            self._run_times = RunTimes(await aread_lengths(self._hints, self._grid_id))
        outcome = await watch_async(poll, self, NO_WAIT)
        if self._lengths:
            await ashare_lengths(self._hints, self._grid_id, self._lengths)
        return outcome

    def after(
        self, seen: Run | BitScaleError, now: float, jitter: float, lasting: float = 0.0
    ) -> Wait | Outcome:
        """Decide what follows a poll of the run."""
        step = self._decision.after(seen, now, jitter, lasting)
        age = now - self._submitted_at
        if isinstance(step, Outcome):
            if step.kind in (COMPLETED, FAILED) and isinstance(seen, Run) and age > self._not_ended_at:
                self._lengths = [self._length(seen, age)]
            return step
        if isinstance(seen, BitScaleError) or seen.status.is_terminal or age <= self._not_ended_at:
            return step
        self._not_ended_at = age
        planned = self._run_times.planned_poll(age, self._decision.poll_interval) - age
        return Wait(min(step.seconds, planned))

    def _until_first_poll(self) -> Iterator[float]:
        """Yield the seconds to wait, after each of which more may be known."""
        for _ in range(_MOST_LOOKS):
            now = time.time()
            age = now - self._submitted_at
            planned = self._run_times.planned_poll(0.0, self._decision.poll_interval)
            if age < 0:
                # The clock was set back: nobody waits longer than from now.
                self._submitted_at, age = now, 0.0
            seconds = min(planned - age, self._decision.deadline - now)
            if seconds < _SOON_SECONDS:
                return
            yield seconds

    def _length(self, run: Run, age: float) -> float:
        if run.completed_at is not None:
            # In whole seconds, and by another clock.
            reported = run.completed_at.timestamp() + 1.0 - self._submitted_at
            if self._not_ended_at < reported <= age:
                return reported
        interval = self._decision.poll_interval
        return likely_length(self._not_ended_at, age, interval, random.random())  # noqa: S311


def watch_run(client: Client, record: Record, decision: RunDecision, first: Wait) -> Outcome:
    """Poll the run of a record until there is an outcome, blocking.

    :param first: the wait before the first poll, where that is not planned: of an old run.
    """
    poll, submitted_at = client.run_poller(record.grid_id, decision.run_id), record.submitted_at
    if submitted_at is None or not 0 <= time.time() - submitted_at <= first.seconds:
        return watch(poll, decision, first)
    return PlannedPolls(client.hints, record.grid_id, decision, submitted_at).watch(poll)

"""The two thin loops around a decision: blocking in a worker, and in an event loop."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.runs.outcome import Outcome
from airflow_provider_bitscale.runs.poll_history import PollHistory
from airflow_provider_bitscale.runs.polling import NO_WAIT, Decision, Wait, happens, poll_once

log = logging.getLogger(__name__)

# A status that is not known, and goes on for so long, may be one that ends a run.
UNKNOWN_STATUS_SECONDS = 180.0

T = TypeVar("T")


def watch(poll: Callable[[], T], decision: Decision[T], first: Wait | None = None) -> Outcome:
    """Poll until the decision is an outcome, blocking.

    :param poll: one attempt; raises BitScaleError where it sees nothing.
    :param first: the wait before the first poll, after one that saw something; None for none.
    """
    progress: _Progress[T] = _Progress(follows=first is not None)
    step: Wait | Outcome = first or NO_WAIT
    while isinstance(step, Wait):
        time.sleep(step.seconds)
        step = progress.decide(decision, poll_once(poll))
    return step


async def watch_async(
    poll: Callable[[], Awaitable[T]],
    decision: Decision[T],
    first: Wait | None = None,
    hint: asyncio.Event | None = None,
) -> Outcome:
    """Poll until the decision is an outcome, without blocking the event loop; see :func:`watch`.

    :param hint: set when something has happened that is worth a poll at once.
    """
    progress: _Progress[T] = _Progress(follows=first is not None)
    step: Wait | Outcome = first or NO_WAIT
    while isinstance(step, Wait):
        if hint is None:
            await asyncio.sleep(step.seconds)
        elif await happens(hint, step.seconds):
            hint = None
        try:
            seen: T | BitScaleError = await poll()
        except BitScaleError as error:
            seen = error
        step = progress.decide(decision, seen)
    return step


class _Progress(Generic[T]):
    """Logs what is seen when it changes, not at every poll, and knows for how long it has lasted.

    :param follows: whether the key was good a moment ago.
    """

    def __init__(self, *, follows: bool) -> None:
        self._polls = PollHistory(time.time() if follows else None)
        self._last: object = None
        self._has_warned = False

    def decide(self, decision: Decision[T], seen: T | BitScaleError) -> Wait | Outcome:
        now = time.time()
        lasting = self._polls.lasting(seen, now)
        current = str(seen) if isinstance(seen, BitScaleError) else getattr(seen, "status", seen)
        if current != self._last:
            self._last = current
            if isinstance(seen, BitScaleError):
                log.warning("The poll failed, and says nothing about what is waited for: %s", seen)
            elif isinstance(seen, Run):
                log.info("Run %s is %s", seen.run_id, seen.reported_status)
        if isinstance(seen, Run) and not self._has_warned and (odd := odd_status(seen, lasting)) is not None:
            self._has_warned = True
            log.warning("%s", odd)
        return decision.after(seen, now, random.random(), lasting)  # noqa: S311


def odd_status(run: Run, lasting: float) -> str | None:
    """Return what to tell of a run that may have ended by a status that is not known; None of any other.

    :param lasting: seconds for which polls have shown it.
    """
    if run.status is not RunStatus.UNKNOWN or not (run.outputs or lasting >= UNKNOWN_STATUS_SECONDS):
        return None
    beside = ", and outputs" if run.outputs else f", for {lasting:.0f} s"
    return (
        f"Run {run.run_id} has the status {run.reported_status!r}, which is not known{beside}. It is polled "
        "until the deadline. If it is one that ends a run, look for the row in BitScale, and report the "
        "status to the provider."
    )

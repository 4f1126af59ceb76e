"""When to look again, and when the waiting is over: one decision, shared by worker and triggerer.

Pure objects decide; :func:`watch` and :func:`watch_async` are the two thin loops around them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from airflow_provider_bitscale.api.errors import (
    KINDS,
    BitScaleError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from airflow_provider_bitscale.api.models import Credits, Run, RunStatus

log = logging.getLogger(__name__)

COMPLETED = "completed"
FAILED = "failed"
TIMED_OUT = "timed_out"
REFUSED = "refused"

T = TypeVar("T")
Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True)
class Wait:
    """Look again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Outcome:
    """The waiting is over.

    :param kind: ``completed``; ``failed``: BitScale says so; ``timed_out``: not finished at the deadline,
        which is not a failure; ``refused``: BitScale will not tell (a wrong key, an unknown run).
    :param data: what was seen last, as JSON; None if nothing was.
    :param error: the error behind ``timed_out`` (if looking failed) and ``refused``.
    """

    kind: str
    data: dict[str, Any] | None = None
    error: BitScaleError | None = None

    def to_event(self) -> dict[str, Any]:
        """As the payload of a trigger event: JSON only."""
        error = self.error and {"kind": _kind(self.error), **self.error.fields()}
        return {"outcome": self.kind, "data": self.data, "error": error}

    @classmethod
    def from_event(cls, event: Any) -> Outcome:
        """Read the payload of a trigger event.

        :raises ValueError: it is not one of :meth:`to_event`.
        """
        if not isinstance(event, dict) or event.get("outcome") not in (COMPLETED, FAILED, TIMED_OUT, REFUSED):
            raise ValueError(f"the trigger sent an event that is none of ours: {event!r}")
        error = event.get("error")
        if error is not None:
            try:
                fields = {key: value for key, value in error.items() if key != "kind"}
                error = KINDS[error["kind"]](**fields)
            except (AttributeError, KeyError, TypeError):
                raise ValueError(f"the trigger sent an error that is none of ours: {error!r}") from None
        return cls(event["outcome"], event.get("data"), error)


class Decision(Protocol[Seen_contra]):
    """What follows a look."""

    def after(self, seen: Seen_contra | BitScaleError, now: float, jitter: float) -> Wait | Outcome:
        """Decide.

        :param seen: what was seen, or why nothing was.
        :param now: Unix seconds.
        :param jitter: a random number in [0, 1).
        """


@dataclass(frozen=True)
class _Patience:
    """How long and how often to look.

    :param deadline: Unix seconds after which one last look decides.
    :param poll_interval: seconds between looks, at most; they are shortened at random by up to a tenth.
    """

    deadline: float
    poll_interval: float

    def wait_or_time_out(
        self, now: float, jitter: float, data: dict[str, Any] | None, error: BitScaleError | None
    ) -> Wait | Outcome:
        if error is not None and not isinstance(error, (RateLimitedError, ServerError, TransportError)):
            return Outcome(REFUSED, error=error)
        if now >= self.deadline:
            return Outcome(TIMED_OUT, data, error)
        seconds = self.poll_interval * (1.0 - 0.1 * jitter)
        if error is not None and error.retry_after is not None:
            seconds = max(seconds, error.retry_after)
        return Wait(min(seconds, self.deadline - now))


@dataclass(frozen=True)
class RunDecision(_Patience):
    """Waits until a run has ended."""

    run_id: str

    def after(self, seen: Run | BitScaleError, now: float, jitter: float) -> Wait | Outcome:
        """Decide what follows a look at the run."""
        if isinstance(seen, Run) and seen.run_id not in (None, self.run_id):
            seen = TransportError(f"the answer is about another run, {seen.run_id!r}")
        if isinstance(seen, BitScaleError):
            return self.wait_or_time_out(now, jitter, None, seen)
        data = dict(seen.raw)
        if seen.status.is_terminal:
            return Outcome(COMPLETED if seen.status is RunStatus.COMPLETED else FAILED, data)
        return self.wait_or_time_out(now, jitter, data, None)


@dataclass(frozen=True)
class CreditsDecision(_Patience):
    """Waits until a workspace has enough credits."""

    min_credits: float

    def after(self, seen: Credits | BitScaleError, now: float, jitter: float) -> Wait | Outcome:
        """Decide what follows a look at the credits."""
        if isinstance(seen, BitScaleError):
            return self.wait_or_time_out(now, jitter, None, seen)
        data = {"total": seen.total, "used": seen.used, "remaining": seen.remaining}
        if seen.remaining is not None and seen.remaining >= self.min_credits:
            return Outcome(COMPLETED, data)
        return self.wait_or_time_out(now, jitter, data, None)


def watch(look: Callable[[], T], decision: Decision[T]) -> Outcome:
    """Look until the decision is an outcome, blocking."""
    progress: _Progress[T] = _Progress()
    while True:
        try:
            seen: T | BitScaleError = look()
        except BitScaleError as error:
            seen = error
        step = progress.note(seen, decision.after(seen, time.time(), random.random()))  # noqa: S311
        if isinstance(step, Outcome):
            return step
        time.sleep(step.seconds)


async def watch_async(look: Callable[[], Awaitable[T]], decision: Decision[T]) -> Outcome:
    """Look until the decision is an outcome, without blocking the event loop."""
    progress: _Progress[T] = _Progress()
    while True:
        try:
            seen: T | BitScaleError = await look()
        except BitScaleError as error:
            seen = error
        step = progress.note(seen, decision.after(seen, time.time(), random.random()))  # noqa: S311
        if isinstance(step, Outcome):
            return step
        await asyncio.sleep(step.seconds)


class _Progress(Generic[T]):
    """Logs what is seen when it changes, not at every look."""

    def __init__(self) -> None:
        self._last: object = None

    def note(self, seen: T | BitScaleError, step: Wait | Outcome) -> Wait | Outcome:
        current = str(seen) if isinstance(seen, BitScaleError) else getattr(seen, "status", seen)
        if current != self._last:
            self._last = current
            if isinstance(seen, BitScaleError):
                log.warning("Could not look: %s", seen)
            elif isinstance(seen, Run):
                log.info("Run %s is %s", seen.run_id, seen.raw.get("status"))
            else:
                log.info("Seen: %s", seen)
        return step


def _kind(error: BitScaleError) -> str:
    return next(kind.__name__ for kind in type(error).__mro__ if KINDS.get(kind.__name__) is kind)

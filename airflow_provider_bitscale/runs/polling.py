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
    TRANSIENT,
    BitScaleError,
    TransportError,
)
from airflow_provider_bitscale.api.models import Credits, Run, RunStatus

log = logging.getLogger(__name__)

COMPLETED = "completed"
FAILED = "failed"
TIMED_OUT = "timed_out"
EXECUTION_TIMED_OUT = "execution_timed_out"
REFUSED = "refused"

_KINDS_OF_OUTCOME = (COMPLETED, FAILED, TIMED_OUT, EXECUTION_TIMED_OUT, REFUSED)

# Between looks at a run while its delivery is expected: one that never comes costs no more than that.
SELDOM_SECONDS = 60.0
# Between looks for a delivery: into Airflow, no requests to BitScale.
LISTEN_SECONDS = 1.0

T = TypeVar("T")
Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True)
class Wait:
    """Look again after so many seconds."""

    seconds: float


NO_WAIT = Wait(0.0)


@dataclass(frozen=True)
class Outcome:
    """The waiting is over.

    :param kind: ``completed``; ``failed``: BitScale says so; ``timed_out``: not finished at the deadline,
        which is not a failure; ``execution_timed_out``: not finished when the task's ``execution_timeout``
        ended the try; ``refused``: BitScale will not tell (a wrong key, an unknown run).
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
        if not isinstance(event, dict) or event.get("outcome") not in _KINDS_OF_OUTCOME:
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
    :param poll_interval: seconds between looks, shortened at random by up to a tenth; longer where the server
        asks for it.
    """

    deadline: float
    poll_interval: float

    def wait_or_time_out(
        self, seen: Run | Credits | BitScaleError, now: float, jitter: float
    ) -> Wait | Outcome:
        """What follows a look that did not end the waiting."""
        error = seen if isinstance(seen, BitScaleError) else None
        if error is not None and not _may_pass(error):
            return Outcome(REFUSED, error=error)
        if now >= self.deadline:
            return Outcome(TIMED_OUT, None if isinstance(seen, BitScaleError) else seen.to_json(), error)
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
        if isinstance(seen, Run) and seen.status.is_terminal:
            return Outcome(COMPLETED if seen.status is RunStatus.COMPLETED else FAILED, seen.to_json())
        return self.wait_or_time_out(seen, now, jitter)


@dataclass(frozen=True)
class HintedRunDecision:
    """Looks seldom until a hint has come, then as often as ever.

    :param seldom: before.
    :param often: after; about the same run, with the same deadline.
    """

    seldom: RunDecision
    often: RunDecision
    hint: asyncio.Event

    @property
    def run_id(self) -> str:
        """Of the run."""
        return self.often.run_id

    def after(self, seen: Run | BitScaleError, now: float, jitter: float) -> Wait | Outcome:
        """Decide what follows a look at the run."""
        return (self.often if self.hint.is_set() else self.seldom).after(seen, now, jitter)


@dataclass(frozen=True)
class CreditsDecision(_Patience):
    """Waits until a workspace has enough credits."""

    min_credits: float

    def after(self, seen: Credits | BitScaleError, now: float, jitter: float) -> Wait | Outcome:
        """Decide what follows a look at the credits."""
        remaining = seen.remaining if isinstance(seen, Credits) else None
        if isinstance(seen, Credits) and remaining is not None and remaining >= self.min_credits:
            return Outcome(COMPLETED, seen.to_json())
        return self.wait_or_time_out(seen, now, jitter)


def _may_pass(error: BitScaleError) -> bool:
    if isinstance(error, TRANSIENT):
        return True
    # A 4xx without a code is not BitScale speaking, but something between; a 401 is believed at once.
    return error.code is None and error.status not in (None, 401)


def look_once(look: Callable[[], T]) -> T | BitScaleError:
    """What a look saw, or why it saw nothing."""
    try:
        return look()
    except BitScaleError as error:
        return error


def watch(look: Callable[[], T], decision: Decision[T], first: Wait = NO_WAIT) -> Outcome:
    """Look until the decision is an outcome, blocking.

    :param look: one attempt; raises BitScaleError where it sees nothing.
    :param first: the wait before the first look.
    """
    progress: _Progress[T] = _Progress()
    step: Wait | Outcome = first
    while isinstance(step, Wait):
        time.sleep(step.seconds)
        seen = progress.note(look_once(look))
        step = decision.after(seen, time.time(), random.random())  # noqa: S311
    return step


async def watch_async(
    look: Callable[[], Awaitable[T]],
    decision: Decision[T],
    first: Wait = NO_WAIT,
    hint: asyncio.Event | None = None,
) -> Outcome:
    """Look until the decision is an outcome, without blocking the event loop; see :func:`watch`.

    :param hint: set when something has happened that is worth a look at once.
    """
    progress: _Progress[T] = _Progress()
    step: Wait | Outcome = first
    while isinstance(step, Wait):
        if hint is None:
            await asyncio.sleep(step.seconds)
        elif await happens(hint, step.seconds):
            hint = None
        try:
            seen: T | BitScaleError = await look()
        except BitScaleError as error:
            seen = error
        step = decision.after(progress.note(seen), time.time(), random.random())  # noqa: S311
    return step


async def happens(event: asyncio.Event, seconds: float, unless: asyncio.Future[Any] | None = None) -> bool:
    """Wait for an event, for so many seconds at most; whether it has happened.

    :param unless: what else ends the waiting.
    """
    happening = asyncio.ensure_future(event.wait())
    awaited = [happening] if unless is None else [happening, unless]
    try:
        await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happening.cancel()
    return event.is_set()


class _Progress(Generic[T]):
    """Logs what is seen when it changes, not at every look."""

    def __init__(self) -> None:
        self._last: object = None

    def note(self, seen: T | BitScaleError) -> T | BitScaleError:
        current = str(seen) if isinstance(seen, BitScaleError) else getattr(seen, "status", seen)
        if current != self._last:
            self._last = current
            if isinstance(seen, BitScaleError):
                log.warning("The poll failed, and says nothing about what is waited for: %s", seen)
            elif isinstance(seen, Run):
                log.info("Run %s is %s", seen.run_id, seen.reported_status)
            else:
                log.info("Now %s", seen)
        return seen


def _kind(error: BitScaleError) -> str:
    # An error may be the Airflow twin of its kind.
    return next(kind.__name__ for kind in type(error).__mro__ if KINDS.get(kind.__name__) is kind)

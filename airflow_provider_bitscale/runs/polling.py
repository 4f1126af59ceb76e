"""Pure: when to poll again, and when the waiting is over; shared by worker and triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from airflow_provider_bitscale.api.error_answers import excerpt_of
from airflow_provider_bitscale.api.errors import (
    TRANSIENT,
    AuthenticationError,
    BitScaleError,
    TransportError,
    UnreadableOutputsError,
)
from airflow_provider_bitscale.api.models import Credits, Run, RunStatus
from airflow_provider_bitscale.runs.outcome import COMPLETED, FAILED, REFUSED, TIMED_OUT, Outcome

# Between polls of a run while its delivery is expected: the most that a lost one costs.
SELDOM_SECONDS = 60.0
# Between reads of Airflow for a delivery; no request to BitScale.
LISTEN_SECONDS = 1.0

# For how long polls must show the same before it is believed. A run that BitScale accepted may be unknown to
# a replica that lags behind, or be refused there, whatever the status and the code.
NOT_FOUND_SECONDS = 300.0
# A key that was good a moment ago may be refused by a hiccup.
UNAUTHORIZED_SECONDS = 15.0
# Outputs may be written after the status.
UNREADABLE_SECONDS = 30.0
# Pauses between polls that find nothing grow by this share of the time that it has lasted, up to a minute.
_GROWTH = 0.5
_LONGEST_PAUSE = 60.0

T = TypeVar("T")
Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True)
class Wait:
    """Poll again after this many seconds."""

    seconds: float


NO_WAIT = Wait(0.0)


class Decision(Protocol[Seen_contra]):
    """Decides what follows a poll."""

    def after(
        self, seen: Seen_contra | BitScaleError, now: float, jitter: float, lasting: float = 0.0
    ) -> Wait | Outcome:
        """Decide.

        :param seen: what was seen, or why nothing was.
        :param now: Unix seconds.
        :param jitter: a random number in [0, 1).
        :param lasting: seconds for which polls have shown the same, see :class:`PollHistory`.
        """


@dataclass(frozen=True)
class _Patience:
    """How long and how often to poll.

    :param deadline: Unix seconds after which one last poll decides.
    :param poll_interval: seconds between polls, shortened at random by up to a tenth; longer where the server
        asks for it.
    """

    deadline: float
    poll_interval: float

    def wait_or_time_out(
        self, seen: Run | Credits | BitScaleError, now: float, jitter: float, lasting: float
    ) -> Wait | Outcome:
        error = seen if isinstance(seen, BitScaleError) else None
        if error is not None and lasting >= self._believed_after(error):
            return Outcome(REFUSED, error=error)
        if now >= self.deadline:
            return Outcome(TIMED_OUT, None if isinstance(seen, BitScaleError) else seen.to_json(), error)
        seconds = self.poll_interval * (1.0 - 0.1 * jitter)
        if error is not None:
            seconds = max(seconds, min(_GROWTH * lasting, _LONGEST_PAUSE), error.retry_after or 0.0)
        return Wait(min(seconds, self.deadline - now))

    def _believed_after(self, error: BitScaleError) -> float:
        """Seconds for which polls must be answered so before no other answer is expected."""
        if isinstance(error, TRANSIENT):
            return float("inf")
        if isinstance(error, AuthenticationError):
            return UNAUTHORIZED_SECONDS
        # A 4xx without a code is not BitScale speaking, but something between.
        return float("inf") if error.code is None and error.status is not None else 0.0


@dataclass(frozen=True)
class RunDecision(_Patience):
    """Waits until a run has ended."""

    run_id: str

    def after(
        self, seen: Run | BitScaleError, now: float, jitter: float, lasting: float = 0.0
    ) -> Wait | Outcome:
        """Decide what follows a poll of the run."""
        if isinstance(seen, Run) and seen.run_id not in (None, self.run_id):
            seen = TransportError(f"the answer is about another run, {seen.run_id!r}", status=200)
        if isinstance(seen, Run) and seen.status is RunStatus.COMPLETED and seen.outputs is None:
            if lasting < UNREADABLE_SECONDS and now < self.deadline:
                return self.wait_or_time_out(seen, now, jitter, lasting)
            return Outcome(REFUSED, seen.to_json(), _unreadable(seen, self.run_id))
        if isinstance(seen, Run) and seen.status.is_terminal:
            return Outcome(COMPLETED if seen.status is RunStatus.COMPLETED else FAILED, seen.to_json())
        return self.wait_or_time_out(seen, now, jitter, lasting)

    def _believed_after(self, error: BitScaleError) -> float:
        seconds = super()._believed_after(error)
        is_told = error.status is not None and not isinstance(error, AuthenticationError)
        return max(seconds, NOT_FOUND_SECONDS) if is_told else seconds


@dataclass(frozen=True)
class HintedRunDecision:
    """Polls ``seldom`` until a hint has come, then ``often``: two decisions about the same run."""

    seldom: RunDecision
    often: RunDecision
    hint: asyncio.Event

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.often.run_id

    def after(
        self, seen: Run | BitScaleError, now: float, jitter: float, lasting: float = 0.0
    ) -> Wait | Outcome:
        """Decide what follows a poll of the run."""
        return (self.often if self.hint.is_set() else self.seldom).after(seen, now, jitter, lasting)


@dataclass(frozen=True)
class CreditsDecision(_Patience):
    """Waits until a workspace has enough credits."""

    min_credits: float

    def describe(self, seen: Credits | BitScaleError) -> str:
        """Return what was seen beside what is wanted, for a log."""
        wanted = f"{self.min_credits:,} are wanted"
        if isinstance(seen, BitScaleError):
            return f"The credits could not be asked for ({seen}), {wanted}"
        if seen.remaining is None:
            return f"BitScale does not tell how many credits are left, {wanted}"
        return f"{seen.remaining:,} credits are left, {wanted}"

    def after(
        self, seen: Credits | BitScaleError, now: float, jitter: float, lasting: float = 0.0
    ) -> Wait | Outcome:
        """Decide what follows a poll of the credits."""
        remaining = seen.remaining if isinstance(seen, Credits) else None
        if isinstance(seen, Credits) and remaining is not None and remaining >= self.min_credits:
            return Outcome(COMPLETED, seen.to_json())
        return self.wait_or_time_out(seen, now, jitter, lasting)


def _unreadable(run: Run, run_id: str) -> UnreadableOutputsError:
    return UnreadableOutputsError(
        f"run {run_id} is reported as {run.reported_status}, but its outputs cannot be read. "
        f"{excerpt_of(run.raw)}"
    )


def poll_once(poll: Callable[[], T]) -> T | BitScaleError:
    """Return what a poll saw, or why it saw nothing."""
    try:
        return poll()
    except BitScaleError as error:
        return error


async def happens(event: asyncio.Event, seconds: float, unless: asyncio.Future[Any] | None = None) -> bool:
    """Wait for an event, up to a number of seconds, or for ``unless``; return whether it has happened."""
    happening = asyncio.ensure_future(event.wait())
    awaited = [happening] if unless is None else [happening, unless]
    try:
        await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happening.cancel()
    return event.is_set()

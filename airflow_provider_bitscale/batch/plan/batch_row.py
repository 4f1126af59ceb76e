"""A row of a running batch, and the states of its life; see :mod:`.lifecycle` for what changes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.batch.row_result import NOT_SUBMITTED, UNKNOWN, RowResult
from airflow_provider_bitscale.runs.poll_history import PollHistory


class State(str, Enum):
    """Where a row stands."""

    NEW = "no submission of it is announced"
    ANNOUNCED = "its intent is being written to the store"
    READY = "its intent is durable: it may be submitted"
    SENDING = "a submission is on its way, or its answer"
    RUNNING = "its run is known, and has not ended as far as is known"
    POLLING = "a poll of its run is on its way, or its answer"
    AMBIGUOUS = "its submission may have started a run; only a delivery would show it"
    UNREADABLE = "BitScale accepted it, and the answer cannot be read: it is never submitted again"
    LEFT = "time is up while its run went on: a retry polls it again"
    DONE = "it has its result"


# For code that runs for each request: to read a member off its Enum takes long before Python 3.12.
NEW, ANNOUNCED, READY, SENDING, RUNNING, POLLING, AMBIGUOUS, UNREADABLE, LEFT, DONE = State

UNSENT = frozenset((NEW, ANNOUNCED, READY))
AWAITING = frozenset((AMBIGUOUS, UNREADABLE))


@dataclass(slots=True, eq=False)
class BatchRow:
    """A row of an open segment, and all that is known of it.

    Times are in seconds of the monotonic clock.

    :param number: its position in the input, from 0.
    :param segment: the number of its segment.
    :param position: its position in the segment.
    :param run_id: of its run, once that is known.
    :param result: what became of it, once it is DONE.
    :param fallback: its result if no more becomes of it; None for what its state says.
    :param unanswered: submissions that may have started runs, of which no delivery came.
    :param resubmissions: how many of these are of this try.
    :param since: when it was submitted, became ambiguous, or was taken over.
    :param exact: whether that is when it was submitted.
    :param delivery: a run that was delivered, and waits for the answer to a request.
    :param history: what polls have shown, once there was one.
    :param hinted: whether the end of its run was delivered.
    :param soon: whether its first poll is soon, though its delivery is expected.
    :param not_ended_at: its age at the last poll that found it running; 0 if there was none.
    :param poll_from: when it may be polled again.
    :param version: grows whenever an earlier plan for its next poll is void.
    """

    number: int
    segment: int
    position: int
    state: State = NEW
    run_id: str | None = None
    result: RowResult | None = None
    fallback: RowResult | None = None
    unanswered: int = 0
    resubmissions: int = 0
    since: float = 0.0
    exact: bool = False
    delivery: Run | None = None
    history: PollHistory | None = None
    hinted: bool = False
    soon: bool = False
    not_ended_at: float = 0.0
    poll_from: float = 0.0
    version: int = 0

    @property
    def entry(self) -> str | None:
        """What the journal keeps: the run id, else "" where a submission may have left, else None."""
        if self.run_id is not None:
            return self.run_id
        return "" if self.unanswered or self.state is not NEW else None

    @property
    def awaits_delivery(self) -> bool:
        """Whether only a delivery would show what became of it."""
        return self.state in AWAITING

    @property
    def is_unsent(self) -> bool:
        """Whether it is still to be submitted, perhaps again."""
        return self.state in UNSENT

    def as_it_stands(self, why: str) -> RowResult:
        """Return its result if nothing more becomes of it."""
        if self.fallback is not None:
            return self.fallback
        return RowResult(NOT_SUBMITTED if self.entry is None else UNKNOWN, self.run_id, error=why)

"""Pure: what follows for a batch from the failure of one submission."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_bitscale.api.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    BitScaleError,
    InsufficientCreditsError,
    InvalidRequestError,
    RunLimitExceededError,
    ServerError,
    TransportError,
)
from airflow_provider_bitscale.api.retry import provably_not_processed


class Then(Enum):
    """What follows."""

    PUT_BACK = "no run was started, and the row may be submitted again"
    RENEW = "no run was started; the key may have been rotated"
    PARK = "nobody can tell whether a run was started"
    FAIL = "the row is refused, and no run was started"
    STOP = "no run was started, and none will be, but what is in flight can be collected"
    ABORT = "no run was started; something is wrong that is not about rows or credits"


_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_PATIENCE = 300.0


@dataclass(frozen=True)
class Trouble:
    """Submissions that were not processed, one after another; times in seconds of one clock.

    :param pause: seconds to submit nothing for.
    """

    since: float | None = None
    pause: float = 0.0

    def after_failure(self, now: float) -> Trouble:
        """One more was not processed."""
        pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self.pause))
        return Trouble(now if self.since is None else self.since, pause)

    def lasts(self, now: float) -> bool:
        """Whether it has gone on for too long to be waited for."""
        return self.since is not None and now - self.since > _PATIENCE


_STOPPED_BY: dict[type[BitScaleError], str] = {
    InsufficientCreditsError: "insufficient_credits",
    RunLimitExceededError: "run_limit_exceeded",
}


def after_failed_submission(error: BitScaleError) -> Then:
    """Decide, after an attempt that is not repeated by itself."""
    if provably_not_processed(error):
        return Then.PUT_BACK
    if isinstance(error, (AmbiguousSubmitError, ServerError, TransportError)):
        return Then.PARK
    if isinstance(error, AuthenticationError):
        return Then.RENEW
    if isinstance(error, tuple(_STOPPED_BY)):
        return Then.STOP
    return Then.FAIL if isinstance(error, InvalidRequestError) else Then.ABORT


def stopped_by(error: BitScaleError) -> str:
    """The reason in the manifest for an error that stops a batch."""
    return next(reason for kind, reason in _STOPPED_BY.items() if isinstance(error, kind))

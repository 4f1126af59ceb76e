"""Pure: what follows for a row, and for the batch, from an answer that is not plain success."""

from __future__ import annotations

from enum import Enum

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.api.retry import provably_not_processed
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.runs.outcome import COMPLETED, TIMED_OUT, Outcome
from airflow_provider_bitscale.runs.outcome import FAILED as RUN_FAILED
from airflow_provider_bitscale.runs.polling import Wait

_STOPPED_BY: dict[type[errors.BitScaleError], str] = {
    errors.InsufficientCreditsError: "insufficient_credits",
    errors.RunLimitExceededError: "run_limit_exceeded",
}


def after_failed_submission(
    error: errors.BitScaleError, *, may_pay_twice: bool, expects_deliveries: bool, is_delivered: bool
) -> Event:
    """Decide what an attempt that is not repeated by itself means for its row.

    :param may_pay_twice: whether the row may be submitted again though a run may have been started.
    :param expects_deliveries: whether the end of a run that was started would be delivered.
    :param is_delivered: whether it has been: a run was started, by this submission or an earlier one.
    """
    if isinstance(error, errors.UnreadableAcceptanceError):
        return Event.UNREADABLE
    if is_delivered:
        return Event.LOST
    if provably_not_processed(error):
        return Event.NOT_PROCESSED
    if isinstance(error, (errors.AmbiguousSubmitError, errors.ServerError, errors.TransportError)):
        if may_pay_twice:
            return Event.RESUBMITTED
        return Event.LOST if expects_deliveries else Event.GIVEN_UP
    return Event.REFUSED if isinstance(error, errors.InvalidRequestError) else Event.NOT_PROCESSED


def is_passing(error: errors.BitScaleError) -> bool:
    """Whether the next submission may succeed after this one; that a key is refused may be a hiccup."""
    return isinstance(error, errors.AuthenticationError) or provably_not_processed(error)


def stopped_by(error: errors.BitScaleError) -> str | None:
    """Return the reason in the manifest for an error that stops a batch; None for any other error."""
    return next((reason for kind, reason in _STOPPED_BY.items() if isinstance(error, kind)), None)


def has_result(run: Run) -> bool:
    """Whether an answer says all that there is to know about a run that has ended."""
    return run.status is RunStatus.FAILED or (run.status is RunStatus.COMPLETED and run.outputs is not None)


def is_understood(seen: Run | errors.BitScaleError, run_id: str) -> bool:
    """Whether a poll showed what has become of this run."""
    if not isinstance(seen, Run) or seen.run_id not in (None, run_id):
        return False
    return has_result(seen) or _goes_on(seen)


def _goes_on(seen: Run | errors.BitScaleError) -> bool:
    return isinstance(seen, Run) and seen.status in (RunStatus.QUEUED, RunStatus.RUNNING)


def _is_unanswered(seen: Run | errors.BitScaleError) -> bool:
    # A 2xx was an answer, readable or not. A refused key says nothing about the run.
    if isinstance(seen, errors.AuthenticationError):
        return True
    return isinstance(seen, errors.TRANSIENT) and (seen.status is None or not 200 <= seen.status < 300)


class PollAction(Enum):
    """What follows a poll of a run."""

    NOT_ENDED = "the run goes on, or the poll found nothing out: poll again"
    ENDED = "the run has ended"
    LEFT = "time is up, and the row stays as it is: a retry polls again"
    SLOW = "time is up for the run, which goes on or could not be polled; its row is unknown"
    LOST = "the answer does not show what has become of the run; its row is unknown"
    ABORT = "something is wrong that is not about this run"


def after_poll(seen: Run | errors.BitScaleError, step: Wait | Outcome, *, time_is_up: bool) -> PollAction:
    """Decide, by what was seen and what follows from it for one run alone.

    :param time_is_up: whether the batch is past its deadline.
    """
    if isinstance(step, Wait):
        return PollAction.NOT_ENDED
    if step.kind in (COMPLETED, RUN_FAILED):
        return PollAction.ENDED
    if step.kind == TIMED_OUT and time_is_up:
        return PollAction.LEFT
    last_seen = step.error or seen
    if step.kind == TIMED_OUT and (_goes_on(last_seen) or _is_unanswered(last_seen)):
        return PollAction.SLOW
    # Another refusal is about this run: were it about the account, submissions would be refused, too.
    is_settings = isinstance(
        step.error, (errors.AuthenticationError, errors.ConfigurationError, errors.UnsupportedError)
    )
    return PollAction.ABORT if is_settings else PollAction.LOST

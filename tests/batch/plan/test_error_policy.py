"""What follows from an answer that is not plain success, as tables."""

from __future__ import annotations

from itertools import product

import pytest

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.batch.plan.error_policy import (
    PollAction,
    after_failed_submission,
    after_poll,
    has_result,
    is_passing,
    is_understood,
    stopped_by,
)
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.runs import outcome as ended
from airflow_provider_bitscale.runs.outcome import Outcome
from airflow_provider_bitscale.runs.polling import Wait

AFTER: list[tuple[errors.BitScaleError, Event]] = [
    (errors.RateLimitedError("x"), Event.NOT_PROCESSED),
    (errors.TransportError("x", sent=False), Event.NOT_PROCESSED),
    (errors.TransportError("x", sent=True), Event.GIVEN_UP),
    (errors.ServerError("x"), Event.GIVEN_UP),
    (errors.AmbiguousSubmitError("x"), Event.GIVEN_UP),
    (errors.AuthenticationError("x"), Event.NOT_PROCESSED),
    (errors.InvalidRequestError("x"), Event.REFUSED),
    (errors.InsufficientCreditsError("x"), Event.NOT_PROCESSED),
    (errors.RunLimitExceededError("x"), Event.NOT_PROCESSED),
    (errors.NotFoundError("x"), Event.NOT_PROCESSED),
    (errors.PermissionDeniedError("x"), Event.NOT_PROCESSED),
    (errors.ConfigurationError("x"), Event.NOT_PROCESSED),
    (errors.FeatureDisabledError("x"), Event.NOT_PROCESSED),
    (errors.MissingSourceError("x"), Event.NOT_PROCESSED),
    (errors.UnsupportedError("x"), Event.NOT_PROCESSED),
]
# They are about runs that were started, and follow no submission.
OF_RUNS = {errors.RunFailedError, errors.RunTimedOutError, errors.UnreadableOutputsError}
ACCEPTED = errors.UnreadableAcceptanceError


@pytest.mark.parametrize(("error", "then"), AFTER, ids=lambda each: type(each).__name__)
def test_what_follows(error: errors.BitScaleError, then: Event) -> None:
    def follows(**options: bool) -> Event:
        no = dict.fromkeys(("may_pay_twice", "expects_deliveries", "is_delivered"), False)
        return after_failed_submission(error, **{**no, **options})

    ambiguous = then is Event.GIVEN_UP
    assert follows() is then
    assert follows(is_delivered=True, may_pay_twice=True) is Event.LOST
    assert follows(may_pay_twice=True) is (Event.RESUBMITTED if ambiguous else then)
    assert follows(expects_deliveries=True) is (Event.LOST if ambiguous else then)
    assert follows(may_pay_twice=True, expects_deliveries=True) is (Event.RESUBMITTED if ambiguous else then)


def test_the_table_has_every_error() -> None:
    assert {type(error) for error, _ in AFTER} | OF_RUNS | {ACCEPTED} == set(errors.KINDS.values())


@pytest.mark.parametrize("options", list(product([False, True], repeat=3)))
def test_what_was_accepted_is_never_submitted_again(options: tuple[bool, bool, bool]) -> None:
    names = ("may_pay_twice", "expects_deliveries", "is_delivered")
    assert (
        after_failed_submission(ACCEPTED("x"), **dict(zip(names, options, strict=True))) is Event.UNREADABLE
    )


# Of errors after which no run was started: whether others may succeed, or why no more are submitted.
OF_BATCHES: list[tuple[errors.BitScaleError, bool, str | None]] = [
    (errors.RateLimitedError("x"), True, None),
    (errors.TransportError("x", sent=False), True, None),
    (errors.AuthenticationError("x"), True, None),
    (errors.InsufficientCreditsError("x"), False, "insufficient_credits"),
    (errors.RunLimitExceededError("x"), False, "run_limit_exceeded"),
    (errors.NotFoundError("x"), False, None),
    (errors.PermissionDeniedError("x"), False, None),
    (errors.ConfigurationError("x"), False, None),
    (errors.FeatureDisabledError("x"), False, None),
    (errors.MissingSourceError("x"), False, None),
    (errors.UnsupportedError("x"), False, None),
]


@pytest.mark.parametrize(("error", "passing", "reason"), OF_BATCHES, ids=repr)
def test_what_follows_for_the_batch(error: errors.BitScaleError, passing: bool, reason: str | None) -> None:
    assert is_passing(error) is passing
    assert stopped_by(error) == reason


def test_the_table_of_batches_has_every_error_that_started_no_run() -> None:
    unsent = {type(error) for error, then in AFTER if then is Event.NOT_PROCESSED}
    assert {type(error) for error, _, _ in OF_BATCHES} == unsent


RUNNING, COMPLETED, FAILED = (
    Run("run_1", None, None, status, {}, {}, None, None, None, None, {})
    for status in (RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED)
)


def a_run(status: RunStatus, outputs: dict[str, str] | None = None, run_id: str | None = "run_1") -> Run:
    return Run(run_id, None, None, status, outputs, {}, None, None, None, None, {})


RUNS: list[tuple[Run | errors.BitScaleError, bool, bool]] = [
    (a_run(RunStatus.QUEUED), False, True),
    (a_run(RunStatus.RUNNING), False, True),
    (a_run(RunStatus.UNKNOWN), False, False),
    (a_run(RunStatus.FAILED), True, True),
    (a_run(RunStatus.COMPLETED, {}), True, True),
    (a_run(RunStatus.COMPLETED, None), False, False),
    (a_run(RunStatus.COMPLETED, {}, None), True, True),
    (a_run(RunStatus.COMPLETED, {}, "run_of_another"), True, False),
    (errors.ServerError("x"), False, False),
]


@pytest.mark.parametrize(("seen", "result", "understood"), RUNS, ids=str)
def test_what_is_understood(seen: Run | errors.BitScaleError, result: bool, understood: bool) -> None:
    assert (isinstance(seen, Run) and has_result(seen)) is result
    assert is_understood(seen, "run_1") is understood


BUSY, GONE = errors.ServerError("x"), errors.NotFoundError("x", code="RUN_NOT_FOUND")
NO_GRID = errors.NotFoundError("x", code="GRID_NOT_FOUND")
DENIED = errors.PermissionDeniedError("x", status=403)
EXPIRED = errors.InvalidRequestError("x", status=410, code="RUN_EXPIRED")
NO_CREDITS = errors.InsufficientCreditsError("x", status=402)
BAD_ID = errors.InvalidRequestError("x")
SETTINGS = errors.ConfigurationError("x")
NO_KEY = errors.AuthenticationError("x", status=401)
NOT_AS_EXPECTED = errors.TransportError("x", status=200)
POLLS: dict[str, tuple[Run | errors.BitScaleError, Wait | Outcome, PollAction, PollAction]] = {
    "goes on": (RUNNING, Wait(5), PollAction.NOT_ENDED, PollAction.NOT_ENDED),
    "nothing seen": (BUSY, Wait(5), PollAction.NOT_ENDED, PollAction.NOT_ENDED),
    "completed": (COMPLETED, Outcome(ended.COMPLETED), PollAction.ENDED, PollAction.ENDED),
    "failed": (FAILED, Outcome(ended.FAILED), PollAction.ENDED, PollAction.ENDED),
    "still under way": (RUNNING, Outcome(ended.TIMED_OUT), PollAction.SLOW, PollAction.LEFT),
    "not seen to the last": (BUSY, Outcome(ended.TIMED_OUT, error=BUSY), PollAction.SLOW, PollAction.LEFT),
    "a status that is not known": (
        a_run(RunStatus.UNKNOWN),
        Outcome(ended.TIMED_OUT),
        PollAction.LOST,
        PollAction.LEFT,
    ),
    "unreadable to the last": (
        NOT_AS_EXPECTED,
        Outcome(ended.TIMED_OUT, error=NOT_AS_EXPECTED),
        PollAction.LOST,
        PollAction.LEFT,
    ),
    "about another run to the last": (
        a_run(RunStatus.RUNNING, run_id="run_of_another"),
        Outcome(ended.TIMED_OUT, error=NOT_AS_EXPECTED),
        PollAction.LOST,
        PollAction.LEFT,
    ),
    "refused to the last": (
        EXPIRED,
        Outcome(ended.TIMED_OUT, error=EXPIRED),
        PollAction.LOST,
        PollAction.LEFT,
    ),
    "gone": (GONE, Outcome(ended.REFUSED, error=GONE), PollAction.LOST, PollAction.LOST),
    "no grid": (NO_GRID, Outcome(ended.REFUSED, error=NO_GRID), PollAction.LOST, PollAction.LOST),
    "denied": (DENIED, Outcome(ended.REFUSED, error=DENIED), PollAction.LOST, PollAction.LOST),
    "expired": (EXPIRED, Outcome(ended.REFUSED, error=EXPIRED), PollAction.LOST, PollAction.LOST),
    "no credits": (NO_CREDITS, Outcome(ended.REFUSED, error=NO_CREDITS), PollAction.LOST, PollAction.LOST),
    "an id that cannot be asked for": (
        BAD_ID,
        Outcome(ended.REFUSED, error=BAD_ID),
        PollAction.LOST,
        PollAction.LOST,
    ),
    "the connection is wrong": (
        SETTINGS,
        Outcome(ended.REFUSED, error=SETTINGS),
        PollAction.ABORT,
        PollAction.ABORT,
    ),
    "completed, and unreadable": (
        a_run(RunStatus.COMPLETED),
        Outcome(ended.REFUSED, error=errors.UnreadableOutputsError("x")),
        PollAction.LOST,
        PollAction.LOST,
    ),
    "not found yet": (GONE, Wait(5), PollAction.NOT_ENDED, PollAction.NOT_ENDED),
    "key refused by a hiccup": (NO_KEY, Wait(5), PollAction.NOT_ENDED, PollAction.NOT_ENDED),
    "key refused to the last": (
        NO_KEY,
        Outcome(ended.TIMED_OUT, error=NO_KEY),
        PollAction.SLOW,
        PollAction.LEFT,
    ),
    "key refused for good": (
        NO_KEY,
        Outcome(ended.REFUSED, error=NO_KEY),
        PollAction.ABORT,
        PollAction.ABORT,
    ),
}


@pytest.mark.parametrize(("seen", "step", "before", "after"), POLLS.values(), ids=POLLS.keys())
def test_what_a_poll_comes_to(
    seen: Run | errors.BitScaleError, step: Wait | Outcome, before: PollAction, after: PollAction
) -> None:
    assert after_poll(seen, step, time_is_up=False) is before
    assert after_poll(seen, step, time_is_up=True) is after

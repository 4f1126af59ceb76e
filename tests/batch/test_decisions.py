"""What follows from an answer that is not plain success, as tables."""

from __future__ import annotations

from itertools import product

import pytest

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.batch.decisions import (
    Fate,
    Then,
    after_failed_submission,
    after_look,
    has_result,
    is_understood,
    stopped_by,
)
from airflow_provider_bitscale.runs import polling
from airflow_provider_bitscale.runs.polling import Outcome, Wait

AFTER: list[tuple[errors.BitScaleError, Then]] = [
    (errors.RateLimitedError("x"), Then.PUT_BACK),
    (errors.TransportError("x", sent=False), Then.PUT_BACK),
    (errors.TransportError("x", sent=True), Then.PARK),
    (errors.ServerError("x"), Then.PARK),
    (errors.AmbiguousSubmitError("x"), Then.PARK),
    (errors.AuthenticationError("x"), Then.KEY_REFUSED),
    (errors.InvalidRequestError("x"), Then.FAIL),
    (errors.InsufficientCreditsError("x"), Then.STOP),
    (errors.RunLimitExceededError("x"), Then.STOP),
    (errors.NotFoundError("x"), Then.ABORT),
    (errors.PermissionDeniedError("x"), Then.ABORT),
    (errors.ConfigurationError("x"), Then.ABORT),
    (errors.FeatureDisabledError("x"), Then.ABORT),
    (errors.MissingSourceError("x"), Then.ABORT),
    (errors.UnsupportedError("x"), Then.ABORT),
]
# They are about runs that were started, and follow no submission.
OF_RUNS = {errors.RunFailedError, errors.RunTimedOutError, errors.UnreadableOutputsError}
ACCEPTED = errors.UnreadableAcceptanceError


@pytest.mark.parametrize(("error", "then"), AFTER, ids=lambda each: type(each).__name__)
def test_what_follows(error: errors.BitScaleError, then: Then) -> None:
    def follows(**options: bool) -> Then:
        no = dict.fromkeys(("may_pay_twice", "expects_deliveries", "is_delivered"), False)
        return after_failed_submission(error, **{**no, **options})

    in_doubt = then is Then.PARK
    assert follows() is then
    assert follows(is_delivered=True, may_pay_twice=True) is Then.AWAIT
    assert follows(may_pay_twice=True) is (Then.SUBMIT_AGAIN if in_doubt else then)
    assert follows(expects_deliveries=True) is (Then.AWAIT if in_doubt else then)
    assert follows(may_pay_twice=True, expects_deliveries=True) is (Then.SUBMIT_AGAIN if in_doubt else then)


def test_the_table_has_every_error() -> None:
    assert {type(error) for error, _ in AFTER} | OF_RUNS | {ACCEPTED} == set(errors.KINDS.values())


@pytest.mark.parametrize("options", product([False, True], repeat=3))
def test_what_was_accepted_is_never_submitted_again(options: tuple[bool, bool, bool]) -> None:
    names = ("may_pay_twice", "expects_deliveries", "is_delivered")
    assert after_failed_submission(ACCEPTED("x"), **dict(zip(names, options, strict=True))) is Then.KEEP


@pytest.mark.parametrize("error", [error for error, then in AFTER if then is Then.STOP], ids=repr)
def test_what_stops_a_batch_has_a_name_for_the_manifest(error: errors.BitScaleError) -> None:
    names = {
        errors.InsufficientCreditsError: "insufficient_credits",
        errors.RunLimitExceededError: "run_limit_exceeded",
    }
    assert stopped_by(error) == names[type(error)]


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
LOOKS: dict[str, tuple[Run | errors.BitScaleError, Wait | Outcome, Fate, Fate]] = {
    "goes on": (RUNNING, Wait(5), Fate.NOT_ENDED, Fate.NOT_ENDED),
    "nothing seen": (BUSY, Wait(5), Fate.NOT_ENDED, Fate.NOT_ENDED),
    "completed": (COMPLETED, Outcome(polling.COMPLETED), Fate.ENDED, Fate.ENDED),
    "failed": (FAILED, Outcome(polling.FAILED), Fate.ENDED, Fate.ENDED),
    "still under way": (RUNNING, Outcome(polling.TIMED_OUT), Fate.SLOW, Fate.LEFT),
    "not seen to the last": (BUSY, Outcome(polling.TIMED_OUT, error=BUSY), Fate.SLOW, Fate.LEFT),
    "a status that is not known": (
        a_run(RunStatus.UNKNOWN),
        Outcome(polling.TIMED_OUT),
        Fate.LOST,
        Fate.LEFT,
    ),
    "unreadable to the last": (
        NOT_AS_EXPECTED,
        Outcome(polling.TIMED_OUT, error=NOT_AS_EXPECTED),
        Fate.LOST,
        Fate.LEFT,
    ),
    "about another run to the last": (
        a_run(RunStatus.RUNNING, run_id="run_of_another"),
        Outcome(polling.TIMED_OUT, error=NOT_AS_EXPECTED),
        Fate.LOST,
        Fate.LEFT,
    ),
    "refused to the last": (EXPIRED, Outcome(polling.TIMED_OUT, error=EXPIRED), Fate.LOST, Fate.LEFT),
    "gone": (GONE, Outcome(polling.REFUSED, error=GONE), Fate.LOST, Fate.LOST),
    "no grid": (NO_GRID, Outcome(polling.REFUSED, error=NO_GRID), Fate.LOST, Fate.LOST),
    "denied": (DENIED, Outcome(polling.REFUSED, error=DENIED), Fate.LOST, Fate.LOST),
    "expired": (EXPIRED, Outcome(polling.REFUSED, error=EXPIRED), Fate.LOST, Fate.LOST),
    "no credits": (NO_CREDITS, Outcome(polling.REFUSED, error=NO_CREDITS), Fate.LOST, Fate.LOST),
    "an id that cannot be asked for": (BAD_ID, Outcome(polling.REFUSED, error=BAD_ID), Fate.LOST, Fate.LOST),
    "the connection is wrong": (SETTINGS, Outcome(polling.REFUSED, error=SETTINGS), Fate.ABORT, Fate.ABORT),
    "completed, and unreadable": (
        a_run(RunStatus.COMPLETED),
        Outcome(polling.REFUSED, error=errors.UnreadableOutputsError("x")),
        Fate.LOST,
        Fate.LOST,
    ),
    "not found yet": (GONE, Wait(5), Fate.NOT_ENDED, Fate.NOT_ENDED),
    "key refused by a hiccup": (NO_KEY, Wait(5), Fate.NOT_ENDED, Fate.NOT_ENDED),
    "key refused to the last": (NO_KEY, Outcome(polling.TIMED_OUT, error=NO_KEY), Fate.SLOW, Fate.LEFT),
    "key refused for good": (NO_KEY, Outcome(polling.REFUSED, error=NO_KEY), Fate.ABORT, Fate.ABORT),
}


@pytest.mark.parametrize(("seen", "step", "before", "after"), LOOKS.values(), ids=LOOKS.keys())
def test_what_a_look_comes_to(
    seen: Run | errors.BitScaleError, step: Wait | Outcome, before: Fate, after: Fate
) -> None:
    assert after_look(seen, step, time_is_up=False) is before
    assert after_look(seen, step, time_is_up=True) is after

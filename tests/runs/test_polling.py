"""What follows a poll, as a pure table; the same for worker and triggerer."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import Credits, Run, RunStatus, errors
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.outcome import COMPLETED, FAILED, REFUSED, TIMED_OUT, Outcome
from airflow_provider_bitscale.runs.polling import (
    NOT_FOUND_SECONDS,
    UNAUTHORIZED_SECONDS,
    UNREADABLE_SECONDS,
    CreditsDecision,
    RunDecision,
    Wait,
)

DEADLINE = 1000.0
RUN = RunDecision(DEADLINE, 5.0, "run_1")
CREDITS = CreditsDecision(DEADLINE, 5.0, 100)


def run(status: str, **more: Any) -> Run:
    return parse_run({"status": status, "run_id": "run_1", **more})


def assert_outcome(step: Wait | Outcome, kind: str, seen: Run) -> None:
    """The waiting is over, and what was seen can be read from the outcome, also after it was JSON."""
    assert isinstance(step, Outcome)
    assert (step.kind, step.error) == (kind, None)
    again = parse_run(json.loads(json.dumps(step.data)))
    assert again == seen
    if seen.status is RunStatus.UNKNOWN:
        assert again.reported_status == seen.reported_status, "a status that is not in the document is kept"


TRANSIENT: dict[str, BitScaleError] = {
    "500": errors.ServerError("x", status=500),
    "502": errors.ServerError("<html>", status=502),
    "429": errors.RateLimitedError("x", status=429),
    "nothing": errors.TransportError("not as expected", status=200),
    "connection cut": errors.TransportError("reset"),
    "never connected": errors.TransportError("refused", sent=False),
    "redirect": errors.TransportError("redirected", status=302),
    "as Airflow's": exceptions.ServerError("x", status=500),
}
FINAL: dict[str, BitScaleError] = {
    kind.__name__: kind("x")
    for kind in errors.KINDS.values()
    if kind not in (errors.ServerError, errors.RateLimitedError, errors.TransportError)
}
# Told by BitScale, but only believed when it lasts.
LATER = (errors.AuthenticationError, errors.NotFoundError)


@pytest.mark.parametrize("status", ["queued", "running", "paused", "unknown", "cancelled"])
def test_a_run_that_has_not_ended_is_waited_for_until_the_deadline(status: str) -> None:
    assert RUN.after(run(status), 0.0, 0.0) == Wait(5.0)
    assert RUN.after(run(status), DEADLINE - 0.25, 0.0) == Wait(0.25)
    for now in (DEADLINE, DEADLINE + 1e6):
        assert_outcome(RUN.after(run(status), now, 0.0), TIMED_OUT, run(status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [("completed", COMPLETED), ("failed", FAILED), ("COMPLETED", COMPLETED), ("Failed", FAILED)],
)
@pytest.mark.parametrize("now", [0.0, DEADLINE, DEADLINE + 1e6])
def test_a_run_that_has_ended_is_the_outcome_even_past_the_deadline(
    status: str, kind: str, now: float
) -> None:
    seen = run(status, outputs={"c": 1}, since_1_2=True)
    assert_outcome(RUN.after(seen, now, 0.0), kind, seen)


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT.keys())
@pytest.mark.parametrize("decision", [RUN, CREDITS], ids=["run", "credits"])
def test_what_may_pass_is_waited_out_and_is_no_failure(
    error: BitScaleError, decision: RunDecision | CreditsDecision
) -> None:
    assert decision.after(error, 0.0, 0.0) == Wait(5.0)
    assert decision.after(error, DEADLINE, 0.0) == Outcome(TIMED_OUT, None, error)


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL.keys())
@pytest.mark.parametrize("decision", [RUN, CREDITS], ids=["run", "credits"])
@pytest.mark.parametrize("now", [0.0, DEADLINE + 1])
def test_what_will_not_pass_is_not_waited_for(
    error: BitScaleError, decision: RunDecision | CreditsDecision, now: float
) -> None:
    lasting = math.inf if isinstance(error, LATER) else 0.0
    assert decision.after(error, now, 0.0, lasting) == Outcome(REFUSED, None, error)


# A run may be unknown to a replica that lags behind, under whatever status and code.
@pytest.mark.parametrize("code", ["RUN_NOT_FOUND", "GRID_NOT_FOUND", None])
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotFoundError, 404),
        (errors.InvalidRequestError, 400),
        (errors.InvalidRequestError, 409),
        (errors.InvalidRequestError, 410),
        (errors.InsufficientCreditsError, 402),
        (errors.PermissionDeniedError, 403),
        (errors.FeatureDisabledError, 403),
    ],
    ids=str,
)
def test_a_run_that_was_accepted_is_not_given_up_for_a_while(
    kind: type[BitScaleError], status: int, code: str | None
) -> None:
    gone = kind("x", status=status, code=code)
    assert RUN.after(gone, 0.0, 0.0, 0.0) == Wait(5.0)
    assert RUN.after(gone, 0.0, 0.0, 60.0) == Wait(30.0), "pauses grow"
    assert RUN.after(gone, 0.0, 0.0, 299.0) == Wait(60.0), "up to a minute"
    step = RUN.after(gone, DEADLINE, 0.0, 299.0)
    assert isinstance(step, Outcome)
    assert step.kind == TIMED_OUT, "at the deadline it is not known that there is no such run"
    step = RUN.after(gone, 0.0, 0.0, NOT_FOUND_SECONDS)
    assert step == (Outcome(REFUSED, None, gone) if code else Wait(60.0))


def test_what_refuses_to_tell_the_credits_is_believed_at_once() -> None:
    denied = errors.PermissionDeniedError("x", status=403, code="FORBIDDEN")
    assert CREDITS.after(denied, 0.0, 0.0) == Outcome(REFUSED, None, denied)


def test_a_key_that_was_good_a_moment_ago_is_tried_again() -> None:
    refused = errors.AuthenticationError("x", status=401, code="INVALID_API_KEY")
    for decision in (RUN, CREDITS):
        assert decision.after(refused, 0.0, 0.0, 0.0) == Wait(5.0)
        assert decision.after(refused, 0.0, 0.0, UNAUTHORIZED_SECONDS) == Outcome(REFUSED, None, refused)


@pytest.mark.parametrize("fields", [{}, {"outputs": None}, {"outputs": [1]}, {"outputs": "<html>"}], ids=repr)
def test_completed_without_outputs_is_asked_again_and_then_an_error(fields: dict[str, Any]) -> None:
    seen = run("completed", **fields)
    assert RUN.after(seen, 0.0, 0.0, 0.0) == Wait(5.0)
    for now, lasting in ((0.0, UNREADABLE_SECONDS), (DEADLINE, 0.0)):
        step = RUN.after(seen, now, 0.0, lasting)
        assert isinstance(step, Outcome)
        assert step.kind == REFUSED
        assert isinstance(step.error, errors.UnreadableOutputsError)
        assert "keys status, run_id" in step.error.message, "what was answered is told"


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 5.0), (0.5, 4.75), (1.0, 4.5)])
def test_waits_are_shortened_by_up_to_a_tenth_and_never_longer(jitter: float, seconds: float) -> None:
    assert RUN.after(run("running"), 0.0, jitter) == Wait(seconds)


@pytest.mark.parametrize(
    ("retry_after", "now", "seconds"),
    [
        pytest.param(60.0, 0.0, 60.0, id="longer than the interval"),
        pytest.param(1.0, 0.0, 5.0, id="shorter than the interval"),
        pytest.param(0.0, 0.0, 5.0, id="at once"),
        pytest.param(60.0, DEADLINE - 20, 20.0, id="longer than there is time"),
    ],
)
@pytest.mark.parametrize("kind", [errors.RateLimitedError, errors.ServerError])
def test_the_servers_wish_to_wait_is_honoured(
    kind: type[BitScaleError], retry_after: float, now: float, seconds: float
) -> None:
    assert RUN.after(kind("x", retry_after=retry_after), now, 0.0) == Wait(seconds)


@pytest.mark.parametrize("status", ["queued", "completed", "failed"])
def test_an_answer_about_another_run_says_nothing_about_ours(status: str) -> None:
    other = run(status, run_id="run_2")
    assert RUN.after(other, 0.0, 0.0) == Wait(5.0)
    step = RUN.after(other, DEADLINE, 0.0)
    assert isinstance(step, Outcome)
    assert (step.kind, step.data) == (TIMED_OUT, None)
    assert "run_2" in str(step.error)


def test_an_answer_without_an_id_is_about_ours() -> None:
    seen = parse_run({"status": "completed", "outputs": {}})
    assert_outcome(RUN.after(seen, 0.0, 0.0), COMPLETED, seen)


@pytest.mark.parametrize(
    ("remaining", "enough"),
    [(100, True), (100.0, True), (101, True), (99.99, False), (0, False), (None, False)],
)
def test_credits_are_waited_for(remaining: float | None, enough: bool) -> None:
    data = {"total": 500, "used": 7, "remaining": remaining}
    seen = Credits(500, 7, remaining)
    for now, otherwise in ((0.0, Wait(5.0)), (DEADLINE, Outcome(TIMED_OUT, data))):
        assert CREDITS.after(seen, now, 0.0) == (Outcome(COMPLETED, data) if enough else otherwise)


OUTCOMES = [
    Outcome(COMPLETED, {"run_id": "run_1", "status": "completed", "outputs": {"c": "é", "d": None}}),
    Outcome(FAILED, {"status": "failed", "error": {"code": "C"}}),
    Outcome(TIMED_OUT),
    Outcome(TIMED_OUT, None, errors.TransportError("x", sent=False, status=200, request="GET /x")),
    *(
        Outcome(REFUSED, None, kind("m", status=404, code="C", retry_after=2.5))
        for kind in errors.KINDS.values()
    ),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_an_outcome_crosses_the_database_as_json(outcome: Outcome) -> None:
    again = Outcome.from_event(json.loads(json.dumps(outcome.to_event())))
    assert (again.kind, again.data, type(again.error)) == (outcome.kind, outcome.data, type(outcome.error))
    if again.error is not None and outcome.error is not None:
        assert again.error.fields() == outcome.error.fields()
        assert str(again.error) == str(outcome.error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NotFoundError("x"), errors.NotFoundError),
        (exceptions.AwaitedRunFailedError("x"), errors.RunFailedError),
        (exceptions.RetryableAmbiguousSubmitError("x"), errors.AmbiguousSubmitError),
        (exceptions.TransportError("x", sent=False), errors.TransportError),
    ],
)
def test_errors_of_airflow_cross_as_their_twins(error: BitScaleError, kind: type[BitScaleError]) -> None:
    again = Outcome.from_event(json.loads(json.dumps(Outcome(REFUSED, None, error).to_event()))).error
    assert type(again) is kind
    assert again.fields() == error.fields()


FOREIGN: list[Any] = [
    None,
    {},
    [],
    "completed",
    {"status": "success"},
    {"outcome": "success"},
    {"outcome": None},
    {"outcome": ["completed"]},
    {"outcome": "refused", "error": {"kind": "KeyError", "message": "x"}},
    {"outcome": "refused", "error": {"message": "x"}},
    {"outcome": "refused", "error": {"kind": "ServerError"}},
    {"outcome": "refused", "error": {"kind": "ServerError", "message": "x", "colour": "red"}},
    {"outcome": "refused", "error": "text"},
]


@pytest.mark.parametrize("event", FOREIGN, ids=repr)
def test_an_event_of_somebody_else_is_refused(event: Any) -> None:
    with pytest.raises(ValueError, match="none of ours"):
        Outcome.from_event(event)

"""How many runs may be in flight, and when answers to submissions stop a batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from airflow_provider_bitscale.api.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    BitScaleError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.batch.plan.brake import (
    FIRST_IN_FLIGHT,
    IN_FLIGHT_PER_ENDED,
    TRIAL_SECONDS,
    Brake,
    Trial,
)
from airflow_provider_bitscale.runs.polling import NOT_FOUND_SECONDS


def read(brake: Brake) -> None:
    brake.note_accepted(0)


def read_oddly(brake: Brake) -> None:
    brake.note_accepted(7, ["the run id is called 'id'"])


def unreadable(brake: Brake) -> None:
    brake.note_unreadable()


def goes_on(brake: Brake) -> None:
    brake.note_understood(ended=False)


def ends(brake: Brake) -> None:
    brake.note_understood(ended=True)


def lost(brake: Brake) -> None:
    brake.note_given_up(slow=False)


# What has happened, and whether more than one run may be in flight then.
PROOFS: dict[str, tuple[list[Callable[[Brake], object]], bool]] = {
    "nothing yet": ([], False),
    "accepted": ([read], False),
    "accepted, and polled": ([read, goes_on], True),
    "accepted oddly, and polled": ([read_oddly, goes_on], True),
    "unreadable": ([unreadable], False),
    "unreadable, and delivered": ([unreadable, goes_on], False),
    "unreadable, and another was accepted and polled": ([unreadable, read, goes_on], True),
    "a run of an earlier try goes on": ([Brake.note_resumed], False),
    "a run of an earlier try, and it is polled": ([Brake.note_resumed, goes_on], True),
}


@pytest.mark.parametrize(("events", "proven"), PROOFS.values(), ids=PROOFS.keys())
def test_more_than_one_run_is_in_flight_once_one_was_understood(
    events: list[Callable[[Brake], object]], proven: bool
) -> None:
    brake = Brake()
    for event in events:
        event(brake)
    assert brake.proven is proven
    assert brake.allows(in_flight=0, known=0)
    assert brake.allows(in_flight=1, known=0) is proven


@pytest.mark.parametrize(
    ("most", "in_flight", "settled", "allowed"),
    [
        (None, FIRST_IN_FLIGHT - 1, 0, True),
        (None, FIRST_IN_FLIGHT, 0, False),
        (None, FIRST_IN_FLIGHT, 1, True),
        (None, FIRST_IN_FLIGHT + IN_FLIGHT_PER_ENDED * 5, 5, False),
        (2, 1, 0, True),
        (2, 2, 99, False),
    ],
)
def test_how_many_are_in_flight_of_a_batch_that_goes_on(
    most: int | None, in_flight: int, settled: int, allowed: bool
) -> None:
    assert Brake(most, proven=True).allows(in_flight, settled) is allowed


@pytest.mark.parametrize(
    ("before", "stops_at"),
    [
        ([], 3),
        ([goes_on], 3),
        ([read], 20),
        ([Brake.note_resumed], 20),
        ([unreadable, unreadable, read], 20),
        ([*[unreadable] * 19, read], 20),
    ],
)
def test_which_unreadable_answer_stops_a_batch(
    before: list[Callable[[Brake], object]], stops_at: int
) -> None:
    brake = Brake()
    for event in before:
        event(brake)
    assert [brake.note_unreadable() for _ in range(stops_at)] == [False] * (stops_at - 1) + [True]


def test_of_a_batch_that_went_well_before_twenty_in_a_row_stop_it() -> None:
    brake = Brake(proven=True)
    assert [brake.note_unreadable() for _ in range(20)].index(True) == 19


# What has happened, and which of the runs that are given up from then on stops the batch.
GIVEN_UP: dict[str, tuple[Brake, list[Callable[[Brake], object]], int]] = {
    "nothing is understood": (Brake(), [], 3),
    "an answer is": (Brake(), [read], 3),
    "no end is": (Brake(), [read, goes_on], 3),
    "an end is": (Brake(), [read, ends], 20),
    "an end is after two that are not": (Brake(), [read, goes_on, lost, lost, ends], 20),
    "an end is of an earlier try": (Brake(proven=True), [], 20),
    "each twentieth is": (Brake(proven=True), [*[lost] * 19, ends], 20),
    "each twentieth goes on": (Brake(proven=True), [*[lost] * 19, goes_on], 1),
}


@pytest.mark.parametrize(("brake", "before", "stops_at"), GIVEN_UP.values(), ids=GIVEN_UP.keys())
def test_which_run_whose_end_is_not_understood_stops_a_batch(
    brake: Brake, before: list[Callable[[Brake], object]], stops_at: int
) -> None:
    for event in before:
        event(brake)
    assert [brake.note_given_up(slow=False) for _ in range(stops_at)] == [False] * (stops_at - 1) + [True]


@pytest.mark.parametrize("before", [[], [read, goes_on], [read, ends]], ids=["nothing", "one", "an end"])
def test_runs_that_are_slow_stop_a_batch_only_before_any_was_understood(
    before: list[Callable[[Brake], object]],
) -> None:
    brake = Brake()
    for event in before:
        event(brake)
    assert any(brake.note_given_up(slow=True) for _ in range(30)) is (not before)


def test_runs_whose_ends_are_not_understood_are_no_reason_to_start_more() -> None:
    brake = Brake()
    for event in (read, goes_on, lost, lost):
        event(brake)
    assert brake.allows(in_flight=FIRST_IN_FLIGHT - 3, known=0)
    assert not brake.allows(in_flight=FIRST_IN_FLIGHT - 2, known=0)


BAD_ROW = InvalidRequestError("x", status=400, code="BAD_ROW")
NO_CODE = InvalidRequestError("x", status=400)
MISSING = InvalidRequestError("x", status=400, code="MISSING_REQUIRED_FIELD")
LOST = AmbiguousSubmitError("x", status=502)
ALIKE: dict[str, tuple[list[BitScaleError], bool]] = {
    "nine": ([BAD_ROW] * 9, False),
    "ten": ([BAD_ROW] * 10, True),
    "ten without a code": ([NO_CODE] * 10, True),
    "ten whose fate is unknown": ([LOST] * 10, True),
    "another among them": ([*[BAD_ROW] * 5, NO_CODE, *[BAD_ROW] * 30], False),
    "a value is missing": ([MISSING] * 30, False),
    "a value has the wrong type": (
        [InvalidRequestError("x", status=422, code="INVALID_COLUMN_TYPE")] * 30,
        False,
    ),
    "a row is too large": ([InvalidRequestError("x", status=413)] * 30, False),
}


@pytest.mark.parametrize(("errors", "stops"), ALIKE.values(), ids=ALIKE.keys())
def test_first_answers_that_are_all_alike_stop_a_batch(errors: list[BitScaleError], stops: bool) -> None:
    brake = Brake()
    told = [brake.note_not_accepted(error) for error in errors]
    assert any(told) is stops
    assert told[:-1].count(True) == 0


@pytest.mark.parametrize("before", [read, unreadable, Brake.note_resumed])
def test_once_a_row_was_accepted_refusals_are_about_rows(before: Callable[[Brake], object]) -> None:
    brake = Brake()
    brake.note_not_accepted(BAD_ROW)
    before(brake)
    assert not any(brake.note_not_accepted(BAD_ROW) for _ in range(30))


ODD = Trial(7, ["the run id is called 'id'"])
GONE = NotFoundError("x", status=404, code="RUN_NOT_FOUND")
# What polls show, and for how long that is borne.
TRIALS: dict[str, tuple[object, float]] = {
    "nothing": (TransportError("reset"), TRIAL_SECONDS),
    "not as expected": (TransportError("x", status=200), TRIAL_SECONDS),
    "another run": ("another run", TRIAL_SECONDS),
    "refused": (InvalidRequestError("x", status=400), TRIAL_SECONDS),
    "not found": (GONE, NOT_FOUND_SECONDS),
    "an outage": (ServerError("x", status=503), math.inf),
    "too many requests": (RateLimitedError("x", status=429), math.inf),
    "a refused key": (AuthenticationError("x", status=401), math.inf),
}


@pytest.mark.parametrize(("seen", "seconds"), TRIALS.values(), ids=TRIALS.keys())
def test_for_how_long_an_id_is_tried_that_was_not_told_as_documented(seen: object, seconds: float) -> None:
    brake = Brake()
    read_oddly(brake)
    assert brake.judge_trial(7, seen, min(seconds, 1e6) - 0.1) is None
    if math.isfinite(seconds):
        assert brake.judge_trial(8, seen, seconds) is None, "it is another run"
        assert brake.judge_trial(7, seen, seconds) == ODD
        assert brake.judge_trial(7, seen, seconds) is None, "it is told once"


def test_an_id_by_which_a_poll_finds_a_run_is_the_right_one_whatever_its_status() -> None:
    brake = Brake()
    read_oddly(brake)
    assert brake.judge_trial(7, parse_run({"status": "initializing"}), 0.0) is None
    assert brake.judge_trial(7, GONE, math.inf) is None


@pytest.mark.parametrize(
    "brake_of", [lambda: Brake(proven=True), lambda: Brake()], ids=["proven", "understood"]
)
def test_an_id_whose_run_was_understood_is_tried_no_more(brake_of: Callable[[], Brake]) -> None:
    brake = brake_of()
    read_oddly(brake)
    goes_on(brake)
    assert brake.judge_trial(7, GONE, math.inf) is None


def test_an_id_that_is_told_as_documented_is_waited_for_with_the_usual_patience() -> None:
    brake = Brake()
    read(brake)
    assert brake.judge_trial(0, GONE, math.inf) is None

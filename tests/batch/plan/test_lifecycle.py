"""The life of a row: each state with each event, and what no path through the table may do."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from airflow_provider_bitscale.batch.plan.batch_row import AWAITING, UNSENT, BatchRow, State
from airflow_provider_bitscale.batch.plan.lifecycle import (
    TRANSITIONS,
    Effect,
    Event,
    IllegalEventError,
    Transition,
    move,
)
from airflow_provider_bitscale.batch.row_result import FAILED, NOT_SUBMITTED, SUCCEEDED, UNKNOWN, RowResult

NOW = 1000.0
# What a row in one of these states may cost is reserved.
IN_FLIGHT = {State.SENDING, State.RUNNING, State.POLLING}
FOUND = RowResult(SUCCEEDED, "run_1", 3)

# Where each event leads, in the order of Event; "-" where it is illegal.
TABLE = """
            new        announced ready    sending    running  polling  ambiguous unreadable left done
DUPLICATE   done       -         -        -          -        -        -         -          -    -
SETTLED     done       -         -        -          -        -        -         -          -    -
RESUMED     running    -         -        -          -        -        -         -          -    -
INHERITED   ambiguous  -         -        -          -        -        -         -          -    -
ANNOUNCED   announced  -         -        -          -        -        -         -          -    -
DURABLE     -          ready     -        -          -        -        -         -          -    -
RETRACTED   -          new       new      -          -        -        -         -          -    -
SENT        -          -         sending  -          -        -        -         -          -    -
ACCEPTED    -          -         -        running    -        -        -         -          -    -
NOT_PROCESSED -        -         -        ready      -        -        -         -          -    -
REFUSED     -          -         -        done       -        -        -         -          -    -
LOST        -          -         -        ambiguous  -        -        -         -          -    -
RESUBMITTED -          -         -        ready      -        -        new       -          -    -
UNREADABLE  -          -         -        unreadable -        -        -         -          -    -
DELIVERED   running    running   running  sending    running  polling  running   running    -    -
HINTED      -          -         -        -          running  polling  -         -          -    -
POLLED      -          -         -        -          polling  -        -         -          -    -
NOT_ENDED   -          -         -        -          -        running  -         -          -    -
ENDED       -          -         -        done       done     done     -         -          -    -
GIVEN_UP    -          -         -        done       -        done     done      done       -    -
LEFT        -          -         -        -          left     left     -         -          -    -
DISOWNED    done       done      done     done       done     done     done      done       done done
CLOSED      done       done      done     done       done     done     done      done       done -
"""
CASES = [
    (State[state.upper()], Event[name], target)
    for header, *lines in [[line.split() for line in TABLE.strip().splitlines()]]
    for name, *targets in lines
    for state, target in zip(header, targets, strict=True)
]


def a_row(state: State = State.NEW, unanswered: int = 0) -> BatchRow:
    return BatchRow(7, 0, 7, state, result=FOUND if state is State.DONE else None, unanswered=unanswered)


def result_for(state: State, event: Event) -> RowResult | None:
    """A result for an event that makes a row of this state DONE."""
    transition = TRANSITIONS[state].get(event)
    return FOUND if transition is not None and transition.to is State.DONE else None


def test_the_table_names_every_state_and_event() -> None:
    assert len(CASES) == len(State) * len(Event)
    assert {event for _, event, _ in CASES} == set(Event)
    assert TRANSITIONS.keys() == set(State)


@pytest.mark.parametrize(("state", "event", "target"), CASES, ids=lambda value: getattr(value, "name", value))
def test_where_an_event_leads(state: State, event: Event, target: str) -> None:
    row = a_row(state, unanswered=1)
    if target == "-":
        with pytest.raises(IllegalEventError, match=f"row 8 is {state.name}, and cannot be {event.name}"):
            move(row, event, NOW, result=FOUND)
        assert row.state is state
        return
    move(row, event, NOW, result=result_for(state, event))
    assert row.state is State[target.upper()]


@pytest.mark.parametrize("state", sorted(UNSENT))
@pytest.mark.parametrize("event", [Event.DELIVERED, Event.DISOWNED])
def test_a_row_that_was_never_sent_has_no_run(state: State, event: Event) -> None:
    with pytest.raises(IllegalEventError, match="never submitted"):
        move(a_row(state), event, NOW, result=result_for(state, event))
    row = a_row(state, unanswered=1)
    move(row, event, NOW, result=result_for(state, event))
    assert row.unanswered == 0, "the delivery answers it"


@pytest.mark.parametrize(
    ("event", "result"), [(Event.GIVEN_UP, None), (Event.ACCEPTED, FOUND), (Event.NOT_PROCESSED, FOUND)]
)
def test_a_row_has_a_result_when_it_is_done_and_only_then(event: Event, result: RowResult | None) -> None:
    row = a_row(State.SENDING)
    with pytest.raises(IllegalEventError):
        move(row, event, NOW, result=result)
    assert row.state is State.SENDING


SENT_NO_MORE = (Event.NOT_PROCESSED, Event.REFUSED, Event.RESUBMITTED)


@pytest.mark.parametrize("event", SENT_NO_MORE)
def test_a_row_whose_run_is_known_is_not_sent_again(event: Event) -> None:
    row = a_row(State.SENDING)
    move(row, Event.DELIVERED, NOW, run_id="run_1")
    with pytest.raises(IllegalEventError, match="has run run_1"):
        move(row, event, NOW, result=result_for(State.SENDING, event))


def legal(row: BatchRow) -> list[Event]:
    """What may happen to a row next."""
    events = list(TRANSITIONS[row.state])
    if row.is_unsent and not row.unanswered:
        events = [event for event in events if event not in (Event.DELIVERED, Event.DISOWNED)]
    return [event for event in events if row.run_id is None or event not in SENT_NO_MORE]


def reserves(transition: Transition) -> int:
    """How many runs a transition reserves credits for; less than 0 if it frees or charges them."""
    effects = transition.planned
    return (
        effects.count(Effect.RESERVE)
        + effects.count(Effect.RECOVER)
        - effects.count(Effect.RELEASE)
        - effects.count(Effect.CHARGE)
    )


@pytest.mark.parametrize("state", State)
def test_what_may_cost_is_reserved_as_long_as_it_is_in_flight(state: State) -> None:
    for event, transition in TRANSITIONS[state].items():
        # At the end of a try the budget ends, too.
        if event is not Event.CLOSED:
            assert reserves(transition) == (transition.to in IN_FLIGHT) - (state in IN_FLIGHT), event


@pytest.mark.parametrize("seed", range(300))
def test_what_no_path_may_do(seed: int) -> None:
    """The rules of the money, on a walk through all that may happen to a row."""
    rng = random.Random(seed)
    row, reserved, counted, finished = BatchRow(7, 0, 7), 0, 0, 0
    durable: str | None = None
    for step in range(60):
        if not (events := legal(row)):
            break
        going_on = [event for event in events if TRANSITIONS[row.state][event].to is not State.DONE]
        event = rng.choice(going_on if going_on and rng.random() < 0.9 else events)
        before = row.state
        was_done = before is State.DONE
        transition = move(
            row,
            event,
            NOW + step,
            run_id="run_1" if event in (Event.ACCEPTED, Event.DELIVERED, Event.RESUMED) else None,
            result=result_for(before, event),
        )
        effects = Counter((*transition.planned, *transition.written))
        reserved += reserves(transition)
        counted += effects[Effect.COUNT] - (was_done and event is Event.DISOWNED)
        finished += effects[Effect.FINISH]
        if Effect.WRITE_ENTRY in transition.written:
            durable = row.entry
        if event is Event.CLOSED:
            assert reserved == (before in IN_FLIGHT), "the try is over: its budget, too"
            reserved = 0
        assert reserved == (row.state in IN_FLIGHT), "what may cost is reserved, once"
        assert finished == (row.state is State.DONE)
        assert counted <= 1
        if event is Event.SENT:
            assert durable == "", "its intent is durable before it is sent"
            assert row.run_id is None, "a row whose run is known is not sent again"
        if event in (Event.ACCEPTED, Event.DELIVERED):
            assert durable == "run_1", "its run id is written down at once"
        if event is Event.DISOWNED:
            assert durable == row.entry == "", "no try polls a run that is of another row, too"
        if row.unanswered or row.state in AWAITING:
            assert row.entry is not None, "what may have been paid for is never forgotten"


@pytest.mark.parametrize(
    ("row", "entry", "status"),
    [
        (a_row(), None, NOT_SUBMITTED),
        (a_row(unanswered=1), "", UNKNOWN),
        (a_row(State.ANNOUNCED), "", UNKNOWN),
        (a_row(State.READY), "", UNKNOWN),
        (a_row(State.SENDING), "", UNKNOWN),
        (a_row(State.AMBIGUOUS), "", UNKNOWN),
        (BatchRow(7, 0, 7, State.RUNNING, "run_1"), "run_1", UNKNOWN),
        (BatchRow(7, 0, 7, State.LEFT, "run_1"), "run_1", UNKNOWN),
        (BatchRow(7, 0, 7, State.UNREADABLE, fallback=RowResult(FAILED)), "", FAILED),
    ],
    ids=lambda value: value.state.name if isinstance(value, BatchRow) else None,
)
def test_what_is_written_of_a_row_as_it_stands(row: BatchRow, entry: str | None, status: str) -> None:
    assert row.entry == entry
    result = row.as_it_stands("why")
    assert (result.status, result.run_id) == (status, row.run_id)


def test_the_age_of_a_run_counts_from_its_submission() -> None:
    row = a_row(State.READY)
    move(row, Event.SENT, NOW)
    move(row, Event.ACCEPTED, NOW + 5, run_id="run_1")
    assert (row.since, row.exact) == (NOW, True)
    row = a_row(State.READY)
    move(row, Event.SENT, NOW)
    move(row, Event.LOST, NOW + 5)
    move(row, Event.DELIVERED, NOW + 9, run_id="run_1")
    assert (row.since, row.exact) == (NOW + 5, False), "it is not known when it began"


def test_submissions_that_may_be_paid_are_counted() -> None:
    row = a_row(State.AMBIGUOUS)
    move(row, Event.RESUBMITTED, NOW)
    assert (row.unanswered, row.resubmissions) == (1, 0), "that was of an earlier try"
    row.state = State.SENDING
    move(row, Event.RESUBMITTED, NOW)
    assert (row.unanswered, row.resubmissions) == (2, 1)

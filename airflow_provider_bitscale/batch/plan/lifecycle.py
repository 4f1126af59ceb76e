"""Pure: the life of a row, as one table of states, events and effects.

A row begins NEW. It is announced (its intent is written down), ready once that is durable, and sent. From
then on it may cost credits until it is DONE. The scheduler and the runner do what the effects say; nothing
else changes the state of a row.

    NEW -> ANNOUNCED -> READY -> SENDING -> RUNNING <-> POLLING -> DONE
                                    |-> AMBIGUOUS, UNREADABLE -> RUNNING (a delivery came) or DONE
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from airflow_provider_bitscale.batch.plan.batch_row import DONE, SENDING, UNSENT, BatchRow, State
from airflow_provider_bitscale.batch.row_result import RowResult


class Event(str, Enum):
    """What happens to a row."""

    DUPLICATE = "its segment is opened, and an earlier row has its key"
    SETTLED = "its segment is opened, and an earlier try has its result"
    RESUMED = "its segment is opened, and an earlier try has the id of its run"
    INHERITED = "its segment is opened, and an earlier try may have submitted it"
    ANNOUNCED = "it is to be submitted"
    DURABLE = "its intent is durable"
    RETRACTED = "it is not submitted after all"
    SENT = "its submission leaves"
    ACCEPTED = "its submission is answered with the id of a run that goes on"
    NOT_PROCESSED = "its submission provably started no run"
    REFUSED = "its submission is refused for good, and started no run"
    LOST = "its submission may have started a run; a delivery would show it"
    RESUBMITTED = "its submission may have started a run, and the user would rather pay twice"
    UNREADABLE = "its submission is accepted, and the answer cannot be read"
    DELIVERED = "a delivery has the id of its run"
    HINTED = "a delivery says that its run has ended"
    POLLED = "a poll of its run leaves"
    NOT_ENDED = "the poll finds the run under way, or finds nothing out"
    ENDED = "its run has ended"
    GIVEN_UP = "what became of its run stays unknown"
    LEFT = "time is up, and its run is left to a retry"
    DISOWNED = "its run belongs to another row, too: it is the result of neither"
    CLOSED = "the try ends, and it is written as it stands"


class Effect:
    """What follows a transition: for the budget, for the order of requests, and what is written down."""

    RESERVE = "reserve what a run may cost"
    RELEASE = "free the reserve: no run was started"
    CHARGE = "charge what the run has cost; where that is not known, the reserve stays"
    RECOVER = "reserve again what was charged as not known"
    INHERIT = "count a run of an earlier try whose cost is not known"
    LEARN = "what became of its run is known, and how long it took"
    QUEUE = "submit it after those that are ready"
    QUEUE_FIRST = "submit it next"
    SCHEDULE_POLL = "plan the first poll of its run"
    POLL_AGAIN = "plan the next poll of its run"
    POLL_NEXT = "poll its run before all others"
    AWAIT = "wait for its delivery, as long as a run may take"
    WRITE_ENTRY = "write its entry to the journal"
    WRITE_RESULT = "write its result to the journal"
    LOG_ACCEPTED = "log its run id as sent"
    LOG_ANSWERED = "log that it was answered, without a run to poll"
    LOG_NOT_PROCESSED = "log that no run was started"
    COUNT = "count its result"
    FINISH = "its segment has one row less to wait for"


class Transition(NamedTuple):
    """Where an event leads.

    :param planned: effects that the scheduler has to see to.
    :param written: effects that whoever writes things down has to see to, in this order.
    :param restarts: whether the age of the row counts from now on.
    """

    to: State
    planned: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    restarts: bool = False


class IllegalEventError(RuntimeError):
    """An event that cannot happen to a row in its state: a bug, and never a reason to go on."""


# A delivery may have come while its submission was on its way.
_NOT_WITH_A_RUN = frozenset((Event.NOT_PROCESSED, Event.REFUSED, Event.RESUBMITTED, Event.SENT))
_OF_LOST_SUBMISSIONS = frozenset((Event.RESUBMITTED, Event.DELIVERED, Event.DISOWNED))


def move(
    row: BatchRow, event: Event, now: float, *, run_id: str | None = None, result: RowResult | None = None
) -> Transition:
    """Change the state of a row.

    :param run_id: the id of its run, with an event that has it.
    :param result: with an event that makes it DONE.
    :return: what follows.
    :raises IllegalEventError: this event cannot happen in this state.
    """
    transition = TRANSITIONS[row.state].get(event)
    if transition is None or (transition.to is DONE) is (result is None):
        raise IllegalEventError(f"row {row.number + 1} is {row.state.name}, and cannot be {event.name}")
    if event in _NOT_WITH_A_RUN and row.run_id is not None:
        raise IllegalEventError(f"row {row.number + 1} has run {row.run_id}, and cannot be {event.name}")
    if event in _OF_LOST_SUBMISSIONS:
        _count_unanswered(row, event)
    if transition.restarts:
        row.since, row.exact = now, event is Event.SENT
    row.state = transition.to
    if run_id is not None:
        row.run_id = run_id
    if result is not None:
        row.result = result
    return transition


def _count_unanswered(row: BatchRow, event: Event) -> None:
    if event is Event.RESUBMITTED:
        row.unanswered += 1
        row.resubmissions += row.state is SENDING
    elif row.state in UNSENT:
        if not row.unanswered:
            raise IllegalEventError(f"row {row.number + 1} was never submitted, and cannot be {event.name}")
        # It answers the submission that was lost.
        row.unanswered = 0
    if event is Event.DISOWNED:
        row.run_id = None


_DELIVERED_AT_LAST = Transition(
    State.RUNNING, (Effect.RECOVER, Effect.SCHEDULE_POLL), (Effect.WRITE_ENTRY, Effect.LOG_ACCEPTED)
)
_DELIVERED_UNSENT = _DELIVERED_AT_LAST._replace(restarts=True)
_ENDED = Transition(State.DONE, (Effect.CHARGE, Effect.LEARN), (Effect.COUNT, Effect.FINISH))
_GIVEN_UP = Transition(State.DONE, (Effect.CHARGE,), (Effect.COUNT, Effect.FINISH))
_CLOSED = Transition(State.DONE, (), (Effect.COUNT, Effect.FINISH))
_DISOWNED = Transition(State.DONE, (), (Effect.WRITE_ENTRY, Effect.WRITE_RESULT, Effect.COUNT, Effect.FINISH))
_DISOWNED_IN_FLIGHT = Transition(
    State.DONE, (Effect.CHARGE,), (Effect.WRITE_ENTRY, Effect.WRITE_RESULT, Effect.COUNT, Effect.FINISH)
)

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = {
    State.NEW: {
        Event.DUPLICATE: _CLOSED,
        # It was counted before its segment was opened.
        Event.SETTLED: Transition(State.DONE, (), (Effect.FINISH,)),
        Event.RESUMED: Transition(State.RUNNING, (Effect.RESERVE, Effect.SCHEDULE_POLL), restarts=True),
        Event.INHERITED: Transition(State.AMBIGUOUS, (Effect.INHERIT, Effect.AWAIT), restarts=True),
        Event.ANNOUNCED: Transition(State.ANNOUNCED, (), (Effect.WRITE_ENTRY,)),
        Event.DELIVERED: _DELIVERED_UNSENT,
        Event.DISOWNED: _DISOWNED,
        Event.CLOSED: _CLOSED,
    },
    State.ANNOUNCED: {
        Event.DURABLE: Transition(State.READY, (Effect.QUEUE,)),
        Event.RETRACTED: Transition(State.NEW, (), (Effect.WRITE_ENTRY,)),
        Event.DELIVERED: _DELIVERED_UNSENT,
        Event.DISOWNED: _DISOWNED,
        Event.CLOSED: _CLOSED,
    },
    State.READY: {
        Event.RETRACTED: Transition(State.NEW, (), (Effect.WRITE_ENTRY,)),
        Event.SENT: Transition(State.SENDING, (Effect.RESERVE,), restarts=True),
        Event.DELIVERED: _DELIVERED_UNSENT,
        Event.DISOWNED: _DISOWNED,
        Event.CLOSED: _CLOSED,
    },
    State.SENDING: {
        Event.ACCEPTED: Transition(
            State.RUNNING, (Effect.SCHEDULE_POLL,), (Effect.WRITE_ENTRY, Effect.LOG_ACCEPTED)
        ),
        Event.NOT_PROCESSED: Transition(
            State.READY, (Effect.RELEASE, Effect.QUEUE_FIRST), (Effect.LOG_NOT_PROCESSED,)
        ),
        Event.REFUSED: Transition(
            State.DONE,
            (Effect.RELEASE, Effect.LEARN),
            (Effect.WRITE_RESULT, Effect.LOG_NOT_PROCESSED, Effect.COUNT, Effect.FINISH),
        ),
        Event.LOST: Transition(State.AMBIGUOUS, (Effect.CHARGE, Effect.AWAIT), restarts=True),
        Event.RESUBMITTED: Transition(State.READY, (Effect.CHARGE, Effect.QUEUE)),
        Event.UNREADABLE: Transition(
            State.UNREADABLE,
            (Effect.CHARGE, Effect.AWAIT),
            (Effect.WRITE_RESULT, Effect.LOG_ANSWERED),
            restarts=True,
        ),
        Event.DELIVERED: Transition(State.SENDING, (), (Effect.WRITE_ENTRY, Effect.LOG_ACCEPTED)),
        Event.ENDED: Transition(
            State.DONE,
            (Effect.CHARGE, Effect.LEARN),
            (Effect.WRITE_RESULT, Effect.LOG_ANSWERED, Effect.COUNT, Effect.FINISH),
        ),
        Event.GIVEN_UP: _GIVEN_UP,
        Event.DISOWNED: _DISOWNED_IN_FLIGHT,
        Event.CLOSED: _CLOSED,
    },
    State.RUNNING: {
        Event.POLLED: Transition(State.POLLING),
        Event.DELIVERED: Transition(State.RUNNING, (), (Effect.WRITE_ENTRY, Effect.LOG_ACCEPTED)),
        Event.HINTED: Transition(State.RUNNING, (Effect.POLL_NEXT,)),
        Event.ENDED: _ENDED,
        Event.LEFT: Transition(State.LEFT, (Effect.CHARGE,)),
        Event.DISOWNED: _DISOWNED_IN_FLIGHT,
        Event.CLOSED: _CLOSED,
    },
    State.POLLING: {
        Event.NOT_ENDED: Transition(State.RUNNING, (Effect.POLL_AGAIN,)),
        Event.DELIVERED: Transition(State.POLLING, (), (Effect.WRITE_ENTRY, Effect.LOG_ACCEPTED)),
        Event.HINTED: Transition(State.POLLING, (Effect.POLL_NEXT,)),
        Event.ENDED: _ENDED,
        Event.GIVEN_UP: _GIVEN_UP,
        Event.LEFT: Transition(State.LEFT, (Effect.CHARGE,)),
        Event.DISOWNED: _DISOWNED_IN_FLIGHT,
        Event.CLOSED: _CLOSED,
    },
    State.AMBIGUOUS: {
        # Of an earlier try, before this one has submitted any row.
        Event.RESUBMITTED: Transition(State.NEW),
        Event.DELIVERED: _DELIVERED_AT_LAST,
        Event.GIVEN_UP: _CLOSED,
        Event.DISOWNED: _DISOWNED,
        Event.CLOSED: _CLOSED,
    },
    State.UNREADABLE: {
        Event.DELIVERED: _DELIVERED_AT_LAST,
        Event.GIVEN_UP: _CLOSED,
        Event.DISOWNED: _DISOWNED,
        Event.CLOSED: _CLOSED,
    },
    State.LEFT: {
        Event.DISOWNED: _DISOWNED,
        Event.CLOSED: _CLOSED,
    },
    State.DONE: {
        # The result it had counts no more.
        Event.DISOWNED: Transition(State.DONE, (), (Effect.WRITE_ENTRY, Effect.WRITE_RESULT, Effect.COUNT)),
    },
}

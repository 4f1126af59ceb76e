"""The slots that processes book together: what is asked in turn, and what comes of it. Virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Operation, Refused, Told
from airflow_provider_bitscale.api.limit.pace import evenly
from airflow_provider_bitscale.api.limit.slot_book import CAREFUL_TICKETS, SlotBook

AT = 1_000_000.0
PACE = evenly(5, 1.0)
GAP = PACE.gap
ASSUMED = Book(*PACE, assumed=True)
NO_PACE = Book(0.0, 0.0)
SLOW, FAST = Book(1.0, 0.0), Book(0.2, 0.0)


def ticket(number: int, asked: Book = ASSUMED) -> Book:
    return asked._replace(ticket=number)


def known() -> SlotBook:
    """A book that is past its first requests."""
    return SlotBook(tickets=CAREFUL_TICKETS, head=CAREFUL_TICKETS, head_at=AT)


# Steps: seconds from the one before, what is asked, and what comes of it, of a Turn's fields.
Step = tuple[float, Operation, Mapping[str, float]]
N = CAREFUL_TICKETS
TAKEN = {"granted": 0}
GRANTED = {"granted": 1, "ticket": -1, "wait": 0.0}

CASES: dict[str, Sequence[Step]] = {
    "turns come in order": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, {"ticket": N + 1, "wait": GAP, "hold": GAP}),
        (0, ASSUMED, {"ticket": N + 2, "wait": 2 * GAP, "hold": GAP}),
        (GAP, ticket(N + 2), {"ticket": N + 2, "wait": GAP}),
        (0, ticket(N + 1), GRANTED),
        (GAP, ticket(N + 2), GRANTED),
    ],
    "one that comes a little late delays nobody": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, TAKEN),
        (0, ASSUMED, TAKEN),
        (GAP + 0.02, ticket(N + 1), GRANTED),
        (GAP - 0.02, ticket(N + 2), GRANTED),
    ],
    "one that comes later moves the next ones": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, TAKEN),
        (0, ASSUMED, TAKEN),
        (GAP + 0.1, ticket(N + 1), GRANTED),
        (0, ticket(N + 2), {"wait": GAP - PACE.behind}),
    ],
    "one that misses its turn takes the next": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, TAKEN),
        (0, ASSUMED, TAKEN),
        (2 * GAP, ticket(N + 2), GRANTED),
        (0, ticket(N + 1), {"ticket": N + 1, "wait": GAP}),
        (GAP, ticket(N + 1), GRANTED),
        (0, ASSUMED, {"wait": GAP}),
    ],
    "a ticket of another book is none": [(0, ticket(5000), GRANTED), (0, ticket(5000), {"ticket": N + 1})],
    "a ticket that is given back leaves no gap": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, {"ticket": N + 1}),
        (0, GiveBack(N + 1), {}),
        (0, ASSUMED, {"ticket": N + 1, "wait": GAP}),
    ],
    "tickets that are given back in their order leave no gaps": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, {"ticket": N + 1}),
        (0, ASSUMED, {"ticket": N + 2}),
        (0, ASSUMED, {"ticket": N + 3, "wait": 3 * GAP}),
        (0, GiveBack(N + 1), {}),
        (0, GiveBack(N + 2), {}),
        (0, ASSUMED._replace(ticket=N + 3), {"ticket": N + 3, "wait": GAP}),
    ],
    "a slot that is given back does not hasten others": [
        (0, ASSUMED, GRANTED),
        (0, GiveBack(granted=1), {"hold": GAP}),
    ],
    "a burst of a configured pace": [
        (9, Book(1.0, 3.0, at_most=10), {"granted": 4}),
        (0, Book(1.0, 3.0), {"wait": 1.0}),
    ],
    "no burst while somebody waits": [
        (9, Book(1.0, 1.0, at_most=9), {"granted": 2}),
        (0, Book(1.0, 1.0), {"ticket": N + 2}),
        (0, Book(1.0, 1.0), {"ticket": N + 3}),
        (2, Book(1.0, 1.0, ticket=N + 2, at_most=9), {"granted": 1}),
        (0, Book(1.0, 1.0, ticket=N + 3, at_most=9), {"granted": 1}),
    ],
    "several slots of a window, but not while somebody waits": [
        (0, Told(60, 60, 2), {}),
        (0, ASSUMED, {"ticket": N}),
        (0, ASSUMED, {"ticket": N + 1}),
        (2.02, Told(60, 0, 60), {}),
        (0, ticket(N)._replace(at_most=9), {"granted": 1}),
        (0, ticket(N + 1)._replace(at_most=9), {"granted": 9}),
    ],
    "each takes as long as its own pace says": [
        (0, SLOW, GRANTED),
        (0, FAST, {"ticket": N + 1, "wait": 1.0}),
        (0, SLOW, {"ticket": N + 2, "wait": 2.0}),
        (1, ticket(N + 1, FAST), GRANTED),
        (0, ticket(N + 2, SLOW), {"wait": 0.2}),
    ],
    "a pause moves all": [
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, {"ticket": N + 1, "wait": GAP}),
        (0.1, Refused(0.1, 2.0, 0.0), {"hold": 2.01}),
        (GAP, ticket(N + 1), {"hold": 2.01 - GAP, "wait": 2.01 - GAP}),
        (2.01 - GAP, ticket(N + 1), GRANTED),
    ],
    "one refusal, however many tell of it": [
        (0, ASSUMED, GRANTED),
        (0.1, Refused(0.1, 0.0, 0.0), {"hold": 1.01}),
        (0.1, Refused(0.1, 0.0, 0.9), {"hold": 0.91}),
        (0.1, Refused(0.1, 0.0, 0.0), {"hold": 0.81}),
        (0.81, ASSUMED, GRANTED),
        (0, ASSUMED, {"hold": 2 * GAP}),
    ],
    "the longest pause that is asked for counts": [
        (0, Refused(0.1, 2.0, 0.0), {"hold": 2.01}),
        (0, Refused(0.1, 9.0, 0.0), {"hold": 9.01}),
        (0, Refused(0.1, 1.0, 0.0), {"hold": 9.01}),
        (0, Refused(0.1, 1e9, 0.0), {"hold": 300.01}),
    ],
    "pauses that are too short become longer": [
        (0, Refused(0.1, 0.0, 0.0), {"hold": 1.01}),
        (1.1, Refused(0.0, 0.0, 0.0), {"hold": 2.01}),
        (2.1, Refused(0.0, 0.0, 0.0), {"hold": 4.01}),
        (9.0, Refused(0.0, 0.0, 0.0), {"hold": 1.01}),
    ],
    "a request that left as the pause ended is refused anew": [
        (0, Refused(0.1, 0.0, 0.0), {"hold": 1.01}),
        (1.0098, ASSUMED, GRANTED),
        (0.1, Refused(0.1, 0.0, 0.0), {"hold": 2.01}),
    ],
    "the pace is regained": [
        (0, Refused(0.1, 0.0, 0.0), {"hold": 1.01}),
        (1.01, ASSUMED, GRANTED),
        (0, ASSUMED, {"hold": 2 * GAP, "ticket": N + 1}),
        (5, ticket(N + 1), GRANTED),
        (0, ASSUMED, {"hold": GAP - PACE.behind}),
    ],
    "no herd after a pause where no pace is known": [
        (0, Refused(0.1, 0.0, 0.0), {"hold": 1.01}),
        (1.01, NO_PACE, GRANTED),
        (0, NO_PACE, {"hold": 0.04, "wait": 0.04}),
        (0, NO_PACE, {"hold": 0.04, "wait": 0.04}),
    ],
    "a window goes before an assumed pace": [
        (0, Told(60, 1, 30), {"limit": 60, "used": 1, "reset_in": 30}),
        (0, ASSUMED, {"granted": 1, "used": 2, "hold": 0}),
        (0, ASSUMED, {"granted": 1, "used": 3}),
    ],
    "a configured pace goes beside a window": [
        (0, Told(60, 1, 30), {}),
        (0, SLOW, GRANTED),
        (0, SLOW, {"wait": 1.0}),
    ],
    "a configured pace goes beside the rest of a window": [
        (0, Told(60, 40, 1), {}),
        (0, SLOW, GRANTED),
        (0, SLOW, {"wait": 1.0}),
        (0, SLOW, {"wait": 2.0}),
    ],
    "a window that is used up beside a configured pace": [
        (0, Told(60, 58, 3), {}),
        (0, SLOW, {"wait": 3.01, "hold": 3.01}),
    ],
    "half of a window at once, and the rest until its end": [
        (0, Told(60, 20, 30), {}),
        (0, ASSUMED._replace(at_most=60), {"granted": 9, "hold": 30 / 30, "used": 29}),
        (10, Told(60, 48, 20), {"used": 48}),
        (0, ASSUMED, GRANTED),
        (0, ASSUMED, {"hold": 20 / 10 - PACE.behind}),
    ],
    "slots that are given back are left in the window": [
        (0, Told(60, 0, 30), {}),
        (0, ASSUMED._replace(at_most=8), {"granted": 8, "used": 8}),
        (0, GiveBack(granted=7), {"used": 1}),
    ],
    "a window that is used up holds all until its end, and longer those who come too late for the next": [
        (0, Told(3, 3, 4), {"hold": 4.01}),
        (0, ASSUMED, {"ticket": N, "wait": 4.01}),
        (4.02, Told(3, 3, 2), {"hold": 2.01}),
        (0, ASSUMED, {"ticket": N + 1, "wait": 2.01}),
        (0, ASSUMED, {"ticket": N + 2, "wait": 2.01}),
        (0, ASSUMED, {"ticket": N + 3, "wait": 4.03}),
    ],
    "what others send is theirs": [
        (0, Told(60, 1, 30), {}),
        (0, ASSUMED, {"granted": 1, "used": 2}),
        (1, Told(60, 41, 29), {"used": 41}),
        (1, Told(60, 30, 28), {"used": 41}),
        (1, Told(60, 58, 27), {"used": 58, "hold": 27.01}),
    ],
    "requests under way at the end of a window count in the new one when that is told": [
        (0, Told(60, 50, 1), {}),
        (0.9, ASSUMED, {"granted": 1, "used": 51}),
        (0.2, ASSUMED, {"granted": 1, "used": 1}),
        (0.1, Told(60, 2, 59.8), {"used": 2, "reset_in": 59.8}),
    ],
    "a late answer of a window that is over says nothing": [
        (0, Told(60, 50, 1), {}),
        (1.02, Told(60, 55, 0.001), {"used": 0}),
        (0, Told(60, 55, -3), {"used": 0}),
    ],
    "the server's clock is ahead": [
        (0, Told(60, 58, 2), {"hold": 2.01}),
        (1, Told(60, 1, 60), {"used": 1, "reset_in": 60, "hold": 0}),
    ],
    "a reset in milliseconds, in the past, or of a limit of nothing": [
        (0, Told(60, 60, 1.8e12), {"limit": 0, "hold": 0}),
        (0, Told(60, 60, -20), {"limit": 0, "hold": 0}),
        (0, Told(0, 0, 20), {"limit": 0, "hold": 0}),
    ],
    "a wrong reset counts until the next answer": [
        (0, Told(60, 60, 20), {"hold": 20.01}),
        (1, Told(60, 60, 250), {"hold": 250.01}),
        (1, Told(60, 60, 18), {"hold": 18.01}),
        (0, Told(60, 60, 1), {"hold": 1.01}),
        (0, Told(60, 60, 18), {"hold": 18.01}),
        (18.1, Told(60, 1, 59.9), {"reset_in": 59.9, "used": 1}),
        (59.95, ASSUMED, {"granted": 1, "used": 1, "reset_in": 59.95}),
    ],
    "the length of windows is learned": [
        (0, Told(60, 1, 20), {}),
        (20.1, Told(60, 1, 59.9), {}),
        (59.95, Told(60, 1, 59.95), {"reset_in": 59.95}),
        (130, ASSUMED, {"granted": 1, "reset_in": 49.85, "used": 1}),
    ],
    "a window of which nothing was told for long is forgotten": [
        (0, Told(60, 60, 20), {"hold": 20.01}),
        (700, ASSUMED, {"granted": 1, "limit": 0, "reset_in": 0}),
    ],
    "in a new window requests leave one by one until something is told of it": [
        (0, Told(60, 60, 20), {}),
        (20.02, NO_PACE, {"granted": 1, "hold": 0.02}),
        (0.02, Told(60, 1, 60), {}),
        (0.01, NO_PACE._replace(at_most=20), {"granted": 20}),
    ],
}


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_what_is_asked_in_turn(steps: Sequence[Step]) -> None:
    book, now = known(), AT
    for number, (later, operation, expected) in enumerate(steps):
        now += later
        turn = book.apply(operation, now)
        told = {name: getattr(turn, name) for name in expected}
        assert told == pytest.approx(expected, abs=1e-4), f"step {number}: {operation}"
        assert book.is_plausible(now)

"""What the slot book promises whatever is asked of it: neither the dead nor a wrong state hold anybody up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Operation, Refused, Told
from airflow_provider_bitscale.api.limit.pace import evenly
from airflow_provider_bitscale.api.limit.slot_book import (
    ASK_AGAIN_SECONDS,
    CAREFUL_TICKETS,
    MAX_WAITING,
    SlotBook,
)

AT = 1_000_000.0
PACE = evenly(5, 1.0)
GAP = PACE.gap
ASSUMED = Book(*PACE, assumed=True)
NO_PACE = Book(0.0, 0.0)
N = CAREFUL_TICKETS


def ticket(number: int) -> Book:
    return ASSUMED._replace(ticket=number)


def known() -> SlotBook:
    """A book that is past its first requests."""
    return SlotBook(tickets=N, head=N, head_at=AT)


def test_a_new_book_begins_one_by_one() -> None:
    book = SlotBook()
    turns = [book.apply(NO_PACE, AT) for _ in range(9)]
    assert [turn.granted for turn in turns] == [1] + 8 * [0]
    assert [turn.wait for turn in turns[1:]] == pytest.approx([0.02, 0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.1])


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("dead", [1, 3_000])
def test_tickets_of_the_dead_block_nobody_for_long(dead: int, window: bool) -> None:
    book, now = known(), AT
    if window:
        book.apply(Told(60, 60, 30), now)
    for _ in range(dead):
        book.apply(ASSUMED, now)
    turn = book.apply(ASSUMED, now)
    while not turn.granted and now < AT + 100:
        assert turn.wait <= ASK_AGAIN_SECONDS
        now += turn.wait
        turn = book.apply(ticket(turn.ticket), now)
    assert now <= AT + (31 if window else 26)


def test_more_tickets_than_are_believed_pass_over_the_oldest() -> None:
    book = replace(known(), tickets=N + MAX_WAITING, seen=N, seen_until=AT + 5, head_at=AT + 5)
    for _ in range(3):
        book.apply(ASSUMED, AT)
    assert book.head == N + 3
    assert book.is_plausible(AT)


def test_those_who_wait_are_not_taken_for_dead() -> None:
    """For minutes of a pause, ten tickets come back whenever they are told to; their order is kept."""
    book = known()
    book.apply(Refused(0.0, 200.0, 0.0), AT)
    waiting = {turn.ticket: AT + turn.wait for turn in (book.apply(ASSUMED, AT) for _ in range(10))}
    granted = []
    while waiting:
        number = min(waiting, key=lambda each: (waiting[each], -each))
        now = waiting.pop(number)
        turn = book.apply(ticket(number), now)
        if turn.granted:
            granted.append(number)
        else:
            waiting[turn.ticket] = now + turn.wait
    assert granted == sorted(granted)


def test_numbers_stay_exact_after_a_hundred_million_tickets() -> None:
    many = 1e8
    book = SlotBook(tickets=many, head=many, claimed=many, head_at=AT)
    first, second = book.apply(ASSUMED, AT), book.apply(ASSUMED, AT)
    assert first.granted == 1
    assert second.ticket == int(many) + 1
    assert second.wait == pytest.approx(GAP)
    assert book.apply(Told(60, 1, 30), AT).used == 1


def anything(rng: random.Random, tickets: list[int]) -> Operation:
    drawn = rng.random()
    number = rng.choice([-1, *tickets[-5:], rng.randrange(1000)])
    if drawn < 0.6:
        gap, behind = rng.choice((0.0, 0.01, GAP, 1.0, 60.0, 1e5)), rng.choice((0.0, 0.02, 5.0))
        return Book(gap, behind, rng.random() < 0.5, number, rng.choice((1, 1, 10, 100)))
    if drawn < 0.7:
        return GiveBack(number, rng.choice((0, 1, 50)))
    if drawn < 0.8:
        left_ago, asked = rng.choice((0.0, 0.1, 2.0, 1e5)), rng.choice((0.0, 1.0, 30.0, 300.0, 1e9))
        return Refused(left_ago, asked, rng.random())
    resets = (1e-320, 0.001, 0.5, 1.0, 20.0, 60.0, 300.0, 1e4, 1.8e12, -5.0, 0.0)
    return Told(
        rng.choice((0.0, 0.5, 1.0, 60.0, 1e9)), rng.choice((0.0, 1.0, 50.0, 1e9, -3.0)), rng.choice(resets)
    )


def times(rng: random.Random) -> Iterator[float]:
    now = AT
    for _ in range(300):
        now += rng.choice((0.0, 0.0, 0.001, 0.2, 3.0, 70.0, -0.01)) + (2000.0 if rng.random() < 0.01 else 0.0)
        yield now


@pytest.mark.parametrize("seed", range(100))
def test_whatever_is_asked_leaves_a_plausible_book_and_a_bearable_wait(seed: int) -> None:
    rng, book = random.Random(seed), SlotBook()
    tickets: list[int] = []
    for now in times(rng):
        turn = book.apply(anything(rng, tickets), now)
        assert book.is_plausible(now)
        assert 0 <= turn.wait <= ASK_AGAIN_SECONDS
        assert 0 <= turn.hold <= 302
        assert (turn.granted > 0) <= (turn.ticket == -1)
        if turn.ticket >= 0:
            tickets.append(turn.ticket)


@pytest.mark.parametrize(
    "change",
    [
        {"head": 11.0},
        {"tickets": 1e9},
        {"tickets": float("nan")},
        {"head_at": AT + 400},
        {"head_at": -1.0},
        {"seen_until": AT + 400},
        {"share": 0.0},
        {"share": 1e-9},
        {"share": 1.1},
        {"refusals": float("inf")},
        {"paused_until": AT + 400},
        {"limit": 60.0},
        {"limit": 60.0, "length": 1e-320},
        {"limit": 60.0, "length": 3600.0},
        {"limit": 0.5, "length": 60.0},
        {"reset_at": AT + 400},
        {"told_reset_at": AT * 1000},
        {"claimed": float("inf")},
        {"others": float("nan")},
        {"written_at": AT + 10},
    ],
    ids=str,
)
def test_a_book_that_could_hold_somebody_up_is_not_believed(change: dict[str, float]) -> None:
    book = SlotBook(tickets=10.0, head=10.0, head_at=AT, written_at=AT)
    assert book.is_plausible(AT)
    assert not replace(book, **change).is_plausible(AT)

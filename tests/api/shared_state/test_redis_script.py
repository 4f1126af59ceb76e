"""The script that Redis runs does what the slot book does in Python, number for number."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace

import pytest
from redis import Redis as Client

from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Operation, Refused, Told, Turn
from airflow_provider_bitscale.api.limit.slot_book import SlotBook
from airflow_provider_bitscale.api.shared_state.redis_backend import RedisBackend, book_key
from tests.support.redis import Redis

NAME = "limit"
KEY = book_key(NAME)
TIMES = ("head_at", "seen_until", "paused_until", "reset_at", "told_reset_at", "written_at")


@dataclass
class Twins:
    """Does the same at the server and in Python, and checks that nothing differs."""

    backend: RedisBackend
    client: Client

    def apply(self, operation: Operation) -> tuple[SlotBook, Turn]:
        """Do what is asked; return what came of it."""
        held = self.held()
        applied = self.backend.apply_and_tell(NAME, operation)
        book = held if held and held.is_plausible(applied.now) else SlotBook()
        turn = book.apply(operation, applied.now)
        assert applied.turn == turn
        assert self.held() == book
        assert applied.is_replaced == (held is not None and not held.is_plausible(applied.now))
        return book, turn

    def held(self) -> SlotBook | None:
        """What the server holds."""
        text = self.client.get(KEY)
        assert text is None or isinstance(text, bytes)
        return None if text is None else SlotBook(*(float(word) for word in text.split()))

    def hold(self, book: SlotBook) -> None:
        """Let the server hold that."""
        self.client.set(KEY, " ".join(f"{number:.17g}" for number in astuple(book)))

    def now(self) -> float:
        """What the server's clock shows."""
        seconds, microseconds = self.client.time()
        return float(seconds) + float(microseconds) / 1e6


@pytest.fixture
def twins(redis_server: Redis) -> Iterator[Twins]:
    with redis_server.client() as client:
        client.flushall()
        yield Twins(RedisBackend(redis_server.url), client)


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_comes_to_the_same(twins: Twins, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        if rng.random() < 0.15:
            # No test waits for windows and pauses to pass: the book becomes older.
            book = twins.held() or SlotBook()
            pause = max(0.0, book.paused_until - book.written_at)
            book = aged(book, rng.choice((pause + 0.1, pause + 0.1, 0.3, 1.0, 5.0, 11.0, 70.0, 700.0)))
            twins.hold(replace(book, seen=rng.choice((book.seen, book.head, book.tickets))))
        twins.apply(anything(rng, twins.held() or SlotBook()))


def anything(rng: random.Random, book: SlotBook) -> Operation:
    gap = rng.choice((0.0, 0.2, 0.01, 1.0))
    assumed = rng.random() < 0.7
    ticket = int(rng.choice((-1, -1, book.head, book.tickets - 1, book.tickets + 5, rng.randint(0, 20))))
    drawn = rng.random()
    if drawn < 0.6:
        return Book(gap, rng.choice((0.0, 0.2, 1.0)), assumed, ticket, rng.choice((1, 1, 2, 10)))
    if drawn < 0.75:
        return GiveBack(ticket, rng.choice((0, 1, 3)))
    if drawn < 0.85:
        return Refused(rng.choice((0.0, 0.1, 30.0)), rng.choice((0.0, 0.0, 2.5, 400.0)), rng.random())
    limit = rng.choice((1, 5, 30, 60, 300))
    used = rng.choice((-1, 0, limit // 2, limit - 1, limit, limit + 3, rng.randint(0, limit)))
    reset_in = rng.choice((0.0, -3.0, 0.2, 400.0, rng.uniform(0, 60)))
    return Told(limit, used, reset_in)


def aged(book: SlotBook, seconds: float) -> SlotBook:
    """The book as it is when so much time has passed."""
    return replace(book, **{name: max(0.0, getattr(book, name) - seconds) for name in TIMES})


def test_sequences_come_through_all_there_is(twins: Twins) -> None:
    """What the random ones would not tell if they missed it."""
    ask = Book(0.2, 0.2, assumed=True)
    _, first = twins.apply(ask)
    _, second = twins.apply(ask)
    _, third = twins.apply(ask)
    assert (first.granted, second.granted, third.granted) == (1, 1, 0)
    assert third.wait > 0

    book, turn = twins.apply(Refused(left_ago=0.0, asked=3.0, jitter=0.5))
    assert (book.share, book.refusals) == (0.5, 1)
    assert 3 < turn.hold < 4
    book, _ = twins.apply(Refused(left_ago=1.0, asked=0.0, jitter=0.5))
    assert (book.share, book.refusals) == (0.5, 1), "they were under way together"
    _, turn = twins.apply(ask._replace(ticket=third.ticket))
    assert turn.granted == 0, "a pause holds for tickets that were taken before it, too"

    twins.hold(aged(book, turn.hold + 0.1))
    book, _ = twins.apply(Refused(left_ago=0.0, asked=0.0, jitter=0.5))
    assert book.refusals == 2
    assert book.share == pytest.approx(0.25, rel=0.1)


def test_a_window_that_is_used_up_rolls_over(twins: Twins) -> None:
    ask = Book(0.0, 0.0)
    _, turn = twins.apply(Told(limit=5, used=5, reset_in=20))
    assert turn.limit == 5
    _, turn = twins.apply(ask)
    assert turn.granted == 0
    assert 19 < turn.hold < 21
    twins.hold(aged(twins.held() or SlotBook(), 21))
    book, turn = twins.apply(ask._replace(ticket=turn.ticket))
    assert turn.granted == 1
    assert book.claimed == 1


def test_several_slots_and_what_is_given_back(twins: Twins) -> None:
    ask = Book(0.2, 1.0, at_most=3)
    before, turn = twins.apply(ask)
    assert turn.granted == 3
    after, _ = twins.apply(GiveBack(granted=2))
    assert after.claimed == before.claimed - 2
    assert after.head_at == before.head_at, "others may have left at that pace since"


def test_a_ticket_whose_turn_was_missed(twins: Twins) -> None:
    for _ in range(3):
        twins.apply(Book(0.2, 0.0))
    book, turn = twins.apply(Book(0.2, 0.0))
    assert (turn.granted, book.head, book.tickets) == (0, 1, 4)
    twins.hold(aged(book, 60))
    book, turn = twins.apply(Book(0.2, 0.0, ticket=3))
    assert (turn.granted, book.head) == (1, 4)
    book, turn = twins.apply(Book(0.2, 0.0, ticket=1))
    assert (turn.granted, book.head) == (0, 4), "behind the one that has just left"


@pytest.mark.parametrize(
    "change",
    [
        {"head": 3.0},
        {"tickets": 1e6},
        {"share": 0.01},
        {"share": 1.5},
        {"claimed": -1.0},
        {"limit": float("inf")},
        {"limit": 5.0},
        {"limit": 5.0, "length": 0.1},
        {"limit": 0.5, "length": 60.0},
        {"length": float("nan")},
        {"length": 301.0},
        {"claimed": 1e308, "others": 1e308},
        *({time: 4e9} for time in TIMES),
    ],
    ids=str,
)
def test_a_book_that_is_not_plausible_is_replaced(twins: Twins, change: dict[str, float]) -> None:
    twins.hold(replace(SlotBook(tickets=2.0, head=2.0, written_at=twins.now()), **change))
    book, turn = twins.apply(Book(0.2, 0.0))
    assert (turn.granted, book.tickets) == (1, 1)


JUNK = {
    "empty words": b"   ",
    "text": b"what somebody else keeps here",
    "a number short": b"0 " * (len(fields(SlotBook)) - 1),
    "a number too many": b"0 " * (len(fields(SlotBook)) + 1),
    "a word among them": b"0 0 zero" + b" 0" * (len(fields(SlotBook)) - 3),
    "bytes": bytes(range(256)),
    "long": b"0 " * 1_000_000,
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_what_is_no_book_is_replaced(twins: Twins, junk: bytes) -> None:
    twins.client.set(KEY, junk)
    assert replaced(twins)


def test_a_key_of_another_type_is_replaced(twins: Twins) -> None:
    twins.client.hset(KEY, "a", "b")
    assert replaced(twins)
    twins.client.delete(KEY)
    twins.client.rpush(KEY, "a")
    assert replaced(twins)


def replaced(twins: Twins) -> bool:
    applied = twins.backend.apply_and_tell(NAME, Book(0.2, 0.0))
    assert applied.turn.granted == 1
    assert twins.held() is not None
    assert not twins.backend.apply_and_tell(NAME, Book(0.2, 0.0)).is_replaced
    return applied.is_replaced


def test_a_book_that_nobody_uses_goes_within_a_day(twins: Twins) -> None:
    twins.apply(Book(0.2, 0.0))
    left = twins.client.pttl(KEY)
    assert 86_000_000 < left <= 86_400_000

"""Pacers that share their slots, each of which stands for a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from threading import Thread

import pytest

from airflow_provider_bitscale.api.errors import RateLimitedError
from airflow_provider_bitscale.api.limit.bookings import Book, GiveBack, Refused, Told
from airflow_provider_bitscale.api.limit.pace import NO_PACE
from airflow_provider_bitscale.api.limit.pacer import Pacer
from airflow_provider_bitscale.api.limit.shared_slots import STOCK_SECONDS, Line, Place, SharedSlots
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.support.memory_state import MemoryBackend

LIMIT = "limit"
PER_SECOND = 50.0
GAP = 1 / PER_SECOND


def pacers(backend: MemoryBackend, number: int) -> list[Pacer]:
    made = [Pacer(SharedSlots(SharedState(backend), LIMIT)) for _ in range(number)]
    for pacer in made:
        pacer.limit_to(None, PER_SECOND)
    return made


def answered(pacer: Pacer, status: int = 200, headers: dict[str, str] | None = None) -> None:
    pacer.answered(status, headers or {}, took=0.5)


def send(pacer: Pacer, times: int, sent: list[float]) -> None:
    for _ in range(times):
        pacer.wait()
        sent.append(time.time())
        answered(pacer)


def at_the_same_time(pacers: Sequence[Pacer], times: int) -> list[list[float]]:
    sent: list[list[float]] = [[] for _ in pacers]
    threads = [
        Thread(target=send, args=(pacer, times, mine)) for pacer, mine in zip(pacers, sent, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return sent


def test_processes_keep_one_pace_and_each_gets_its_part() -> None:
    sent = at_the_same_time(pacers(MemoryBackend(), 4), 15)
    together = sorted(at for mine in sent for at in mine)
    assert len(together) == 60
    assert together[-1] - together[0] >= 0.9 * 59 * GAP
    ends = [mine[-1] for mine in sent]
    assert max(ends) - min(ends) <= 10 * GAP, "nobody was served before the others"


def test_a_refusal_of_one_makes_all_pause_once() -> None:
    backend = MemoryBackend()
    first, second, third = pacers(backend, 3)
    for pacer in (first, second):
        pacer.wait()
    for pacer in (first, second):
        answered(pacer, 429, {"Retry-After": "0.5"})
    began = time.time()
    third.wait()
    assert time.time() - began >= 0.45
    assert sum(isinstance(each, Refused) for each in backend.operations) == 2
    assert backend.books[LIMIT].share == 0.5


def test_who_waits_for_its_turn_waits_on_when_all_pause() -> None:
    backend = MemoryBackend()
    first, second = pacers(backend, 2)
    for pacer in (first, second):
        pacer.limit_to(None, 2.0)
    first.wait()
    place = Place()
    assert 0 < asyncio.run(second.book_async(place)) < 1.0
    answered(first, 429, {"Retry-After": "3"})
    assert asyncio.run(second.book_async(place)) > 2.0


def test_an_impatient_process_does_not_sit_out_a_long_pause_and_leaves_the_line() -> None:
    backend = MemoryBackend()
    first, second = pacers(backend, 2)
    first.wait()
    answered(first, 429, {"Retry-After": "60"})
    with pytest.raises(RateLimitedError) as raised:
        second.wait(patient=False)
    assert raised.value.retry_after == pytest.approx(60, abs=10)
    assert any(isinstance(each, GiveBack) for each in backend.operations)
    assert backend.books[LIMIT].tickets == backend.books[LIMIT].head


def test_a_window_that_one_process_was_told_of_is_known_to_a_fresh_one() -> None:
    backend = MemoryBackend()
    first, second = pacers(backend, 2)
    first.wait()
    told = {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": f"{time.time() + 30}",
    }
    answered(first, 200, told)
    assert any(isinstance(each, Told) for each in backend.operations)
    place = Place()
    assert asyncio.run(second.book_async(place)) > 0
    assert place.hold > 20
    assert place.hold > 20


def test_while_shared_state_is_away_each_keeps_its_own_pace_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_bitscale.api.shared_state.shared_state.AWAY_SECONDS", 0.05)
    backend = MemoryBackend()
    [pacer] = pacers(backend, 1)
    backend.is_away = True
    sent: list[float] = []
    send(pacer, 10, sent)
    assert sent[-1] - sent[0] >= 0.8 * 9 * GAP
    assert not backend.operations
    backend.is_away = False
    time.sleep(0.06)
    send(pacer, 2, sent)
    assert backend.operations


def test_in_an_event_loop_all_who_wait_stand_in_the_common_line() -> None:
    backend = MemoryBackend()
    mine, other = pacers(backend, 2)
    sent: list[tuple[str, float]] = []

    async def one(name: str, pacer: Pacer, line: Line) -> None:
        await pacer.wait_async(line)
        sent.append((name, time.time()))
        answered(pacer)

    async def scenario() -> None:
        lines = Line(), Line()
        before = [asyncio.ensure_future(one("mine", mine, lines[0])) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.gather(*before, one("other", other, lines[1]))

    asyncio.run(scenario())
    assert [name for name, _ in sent] == ["mine"] * 10 + ["other"], "first come, first served"
    assert all(later - earlier >= 0.5 * GAP for (_, earlier), (_, later) in pairwise(sent[1:]))


def test_slots_that_a_batch_booked_ahead_are_given_back() -> None:
    backend = MemoryBackend()
    [pacer] = pacers(backend, 1)
    pacer.limit_to(None, None)
    # Before anything is known of the limit, requests leave one by one.
    backend.apply(LIMIT, Told(100, 0, 60))
    place = Place(at_most=8)
    assert asyncio.run(pacer.book_async(place)) == 0
    assert place.granted == 8
    place.granted -= 1
    pacer.leave(place)
    assert backend.operations[-1] == GiveBack(-1, 7)
    assert pacer.limit.traffic.in_flight == 1


def test_each_window_is_told_of_at_once_and_then_only_what_others_use() -> None:
    backend = MemoryBackend()
    slots = SharedSlots(SharedState(backend), LIMIT)
    now = time.time()
    backend.apply(LIMIT, Told(60, 0, 0.5))
    slots.book(Place(), NO_PACE, assumed=False)
    for at, used, reset_in, is_news in (
        (0.1, 1, 0.4, True),
        (0.2, 1, 0.3, False),
        (0.3, 9, 0.2, False),
        (0.6, 1, 0.9, True),
        (0.7, 9, 0.8, False),
        (1.6, 1, 5.0, True),
        (2.7, 1, 3.9, False),
        (2.8, 9, 3.8, True),
    ):
        assert slots.is_news(Told(60, used, reset_in), now + at) is is_news, at


def wait_each_millisecond(pacer: Pacer, times: int) -> None:
    for _ in range(times):
        pacer.wait()
        pacer.answered(200, {})
        time.sleep(0.001)


def bookings(backend: MemoryBackend) -> list[Book]:
    return [each for each in backend.operations if isinstance(each, Book)]


def plentiful(backend: MemoryBackend, number: int) -> list[Pacer]:
    made = pacers(backend, number)
    for pacer in made:
        pacer.limit_to(None, None)
    backend.apply(LIMIT, Told(100_000, 0, 60))
    return made


def test_whoever_sends_many_of_a_plentiful_limit_books_many_at_once() -> None:
    backend = MemoryBackend()
    [pacer] = plentiful(backend, 1)
    wait_each_millisecond(pacer, 400)
    assert len(bookings(backend)) < 250
    assert max(each.at_most for each in bookings(backend)) <= 101, "a thousandth of the window, and its own"
    assert 0 <= backend.books[LIMIT].claimed - 400 <= 200


def test_whoever_sends_few_books_each() -> None:
    backend = MemoryBackend()
    [pacer] = plentiful(backend, 1)
    for _ in range(4):
        pacer.wait()
        time.sleep(STOCK_SECONDS)
    assert [each.at_most for each in bookings(backend)] == [1] * 4


def test_a_stock_is_not_used_while_another_process_has_made_all_pause() -> None:
    backend = MemoryBackend()
    first, second = plentiful(backend, 2)
    wait_each_millisecond(first, 300)
    second.wait()
    answered(second, 429, {"Retry-After": "0.5"})
    time.sleep(STOCK_SECONDS)
    began = time.time()
    first.wait()
    assert time.time() - began >= 0.35


def test_a_stock_is_not_used_once_this_process_is_refused() -> None:
    [pacer] = plentiful(MemoryBackend(), 1)
    wait_each_millisecond(pacer, 300)
    pacer.answered(429, {"Retry-After": "0.5"})
    began = time.time()
    pacer.wait()
    assert time.time() - began >= 0.5


def test_a_stock_does_not_outlast_its_window() -> None:
    backend = MemoryBackend()
    slots = SharedSlots(SharedState(backend), LIMIT)
    reset_at = time.time() + 0.6
    backend.apply(LIMIT, Told(100_000, 0, 0.6))
    while time.time() < reset_at - STOCK_SECONDS / 2:
        slots.book(Place(), NO_PACE, assumed=False)
        time.sleep(0.001)
    assert slots.take_from_stock(time.time())
    assert not slots.take_from_stock(reset_at + 0.01)
    assert not slots.take_from_stock(reset_at - 3600), "the clock was set back"


def test_nothing_is_taken_in_stock_at_a_pace() -> None:
    backend = MemoryBackend()
    [pacer] = pacers(backend, 1)
    pacer.limit_to(None, 200.0)
    wait_each_millisecond(pacer, 60)
    assert len(bookings(backend)) >= 60
    assert backend.books[LIMIT].claimed == 60


def test_a_ticket_of_one_who_waits_in_the_line_is_used_by_who_is_the_first_and_has_none() -> None:
    """As after an outage: it would be lost, a slot each time, until all have tickets again."""
    backend = MemoryBackend()
    [pacer] = pacers(backend, 1)
    pacer.limit_to(None, 20.0)
    sent: list[float] = []

    async def one(line: Line) -> None:
        await pacer.wait_async(line)
        sent.append(time.time())

    async def scenario() -> None:
        line = Line()
        async with line:
            backend.is_away = True
            without = [asyncio.ensure_future(one(line)) for _ in range(20)]
            await asyncio.sleep(0)
            backend.is_away = False
            assert pacer._slots is not None
            pacer._slots.state._begin()
            with_tickets = [asyncio.ensure_future(one(line)) for _ in range(20)]
            await asyncio.sleep(0.01)
        await asyncio.gather(*without, *with_tickets)

    began = time.time()
    asyncio.run(scenario())
    assert len(sent) == 40
    assert sent[1] - began < 0.5, "not after the turns of all tickets, which take a second"


def test_who_gives_up_gives_back_its_ticket() -> None:
    backend = MemoryBackend()
    [pacer] = pacers(backend, 1)
    pacer.limit_to(None, 1.0)

    async def scenario() -> None:
        line = Line()
        waiting = [asyncio.ensure_future(pacer.wait_async(line)) for _ in range(30)]
        await asyncio.sleep(0.1)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())
    book = backend.books[LIMIT]
    assert book.tickets == book.head, "nobody waits for their turns"

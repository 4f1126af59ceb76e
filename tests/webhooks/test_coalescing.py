"""What gathers while a group is worked on is the next group."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from airflow_provider_bitscale.webhooks import coalescing
from airflow_provider_bitscale.webhooks.coalescing import Coalesced


class Slow:
    """Doubles numbers once it is let; keeps the groups. A group with a zero in it fails, and so does a 7."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.let = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(numbers))
        assert self.let.wait(10)
        if 0 in numbers:
            raise ZeroDivisionError
        return [ValueError("7") if number == 7 else 2 * number for number in numbers]


async def gathered(slow: Slow, *numbers: int) -> list[int | BaseException]:
    """Each number's result, the first alone and the others while it is under way."""
    grouped = Coalesced(slow, 3, "test")
    tasks = [asyncio.create_task(grouped(numbers[0]))]
    while not slow.groups:
        await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(grouped(number)) for number in numbers[1:]]
    await asyncio.sleep(0.01)
    slow.let.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_gathers_is_done_in_groups_each_item_with_its_own_result() -> None:
    slow = Slow()
    assert asyncio.run(gathered(slow, 1, 2, 3, 4, 5, 6)) == [2, 4, 6, 8, 10, 12]
    assert slow.groups == [[1], [2, 3, 4], [5, 6]]


def test_an_item_that_fails_fails_no_other() -> None:
    results = asyncio.run(gathered(Slow(), 1, 2, 7, 4))
    assert results[:2] == [2, 4]
    assert isinstance(results[2], ValueError)
    assert results[3] == 8


def test_one_that_cannot_be_worked_on_fails_no_other() -> None:
    results = asyncio.run(gathered(Slow(), 1, 0, 3, 4, 5))
    assert isinstance(results[1], ZeroDivisionError)
    assert [results[0], *results[2:]] == [2, 6, 8, 10]


class Away:
    """Is away for so many calls."""

    def __init__(self, calls: int, seconds: float = 0.0) -> None:
        self.calls = calls
        self.seconds = seconds

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.calls -= 1
        if self.calls >= 0:
            time.sleep(self.seconds)
            if 1 in numbers:
                raise ConnectionError
            return [ConnectionError() for _ in numbers]
        return list(numbers)


@pytest.mark.parametrize("number", [1, 2])
def test_what_fails_for_a_moment_is_worked_on_again_while_somebody_waits(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "PAUSE_SECONDS", 0.02)

    async def ask(away: Away) -> int:
        return await asyncio.wait_for(Coalesced(away, 3, "test", again=(ConnectionError,))(number), 1.0)

    assert asyncio.run(ask(Away(5))) == number
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(ask(Away(1_000)))


def test_what_was_long_in_failing_is_not_worked_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "QUICK_SECONDS", 0.01)

    async def ask() -> int:
        return await Coalesced(Away(1, seconds=0.05), 3, "test", again=(ConnectionError,))(1)

    with pytest.raises(ConnectionError):
        asyncio.run(ask())


def test_who_has_given_up_is_left_out() -> None:
    slow = Slow()

    async def give_up() -> int:
        grouped = Coalesced(slow, 3, "test")
        first = asyncio.create_task(grouped(1))
        await asyncio.sleep(0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(grouped(2), 0.05)
        slow.let.set()
        await first
        return await grouped(3)

    assert asyncio.run(give_up()) == 6
    assert slow.groups == [[1], [3]]

"""What gathers while a group is worked on is the next group."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from airflow_provider_bitscale.webhooks.grouping import Grouped


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
    grouped = Grouped(slow, 3, "test")
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


def test_a_group_that_fails_fails_no_other() -> None:
    results = asyncio.run(gathered(Slow(), 1, 0, 3, 4, 5))
    assert results[0] == 2
    assert [type(result) for result in results[1:4]] == [ZeroDivisionError] * 3
    assert results[4] == 10


def test_an_item_that_fails_fails_no_other() -> None:
    results = asyncio.run(gathered(Slow(), 1, 2, 7, 4))
    assert results[:2] == [2, 4]
    assert isinstance(results[2], ValueError)
    assert results[3] == 8


def test_who_has_given_up_is_left_out() -> None:
    slow = Slow()

    async def give_up() -> int:
        grouped = Grouped(slow, 3, "test")
        first = asyncio.create_task(grouped(1))
        await asyncio.sleep(0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(grouped(2), 0.05)
        slow.let.set()
        await first
        return await grouped(3)

    assert asyncio.run(give_up()) == 6
    assert slow.groups == [[1], [3]]

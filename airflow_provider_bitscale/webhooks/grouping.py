"""Does in one go what has gathered while the one before was under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """Calls a function with groups of items, in a thread of its own, one group after the other.

    :param work: returns a result for each item of a group, or the error that the item is to be answered with.
    :param most: items in a group.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R | Exception]], most: int, name: str) -> None:
        self._work = work
        self._most = most
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """The result for this item; raises what the work on its group raises."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._working is None:
            self._working = asyncio.create_task(self._work_off())
        return await result

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                # Whoever has given up is answered already, and will come again.
                group = [(item, result) for item, result in group if not result.done()]
                if group:
                    await self._work_on(group)
        finally:
            self._working = None

    async def _work_on(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        items = [item for item, _ in group]
        try:
            loop = asyncio.get_running_loop()
            outcomes = await loop.run_in_executor(self._thread, self._work, items)
        except Exception as error:
            for _, result in group:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), outcome in zip(group, outcomes, strict=True):
            if result.done():
                continue
            if isinstance(outcome, Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)

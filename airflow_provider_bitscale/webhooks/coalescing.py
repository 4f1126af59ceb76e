"""Handles items that arrive together in groups: while one group is handled, the next one gathers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# A database that is down for a moment fails at once, and is tried again. An error that took longer, such as a
# lock timeout, would hold up the others once more.
QUICK_SECONDS = 1.0
PAUSE_SECONDS = 0.25

_Waiting: TypeAlias = "tuple[T, asyncio.Future[R]]"


class Coalesced(Generic[T, R]):
    """Calls a function with groups of items, in a thread of its own, one group after the other.

    :param work: returns for each item of a group its result, or the error to raise for it.
    :param most: items in a group.
    :param again: transient errors: an item that fails with one is tried again while its caller waits.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R | Exception]],
        most: int,
        name: str,
        *,
        again: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._most = most
        self._again = again
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: list[_Waiting[T, R]] = []
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Return the result for this item; raise the error for it."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._working is None:
            self._working = asyncio.create_task(self._work_off())
        return await result

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                # The callers of those that are done have timed out.
                group = [(item, result) for item, result in group if not result.done()]
                if group and (again := await self._work_on(group)):
                    self._waiting = again + self._waiting
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._working = None

    async def _work_on(self, group: list[_Waiting[T, R]]) -> list[_Waiting[T, R]]:
        """Handle a group, and return the items to try again."""
        began = time.monotonic()
        outcomes = await self._outcomes(group)
        quick = time.monotonic() - began < QUICK_SECONDS
        again = []
        for (item, result), outcome in zip(group, outcomes, strict=True):
            if result.done():
                continue
            if quick and isinstance(outcome, self._again):
                again.append((item, result))
            elif isinstance(outcome, Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)
        return again

    async def _outcomes(self, group: list[_Waiting[T, R]]) -> Sequence[R | Exception]:
        items = [item for item, _ in group]
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, items)
        except Exception as error:
            if len(group) == 1 or isinstance(error, self._again):
                return [error] * len(group)
        # One item failed the group: handle each alone, so that the others succeed.
        return [outcome for each in group for outcome in await self._outcomes([each])]

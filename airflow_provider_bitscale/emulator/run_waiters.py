"""Tasks that wait for runs to end: at their own time, or earlier when somebody ends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from airflow_provider_bitscale.emulator.runs import Run


class RunWaiters:
    """Lets tasks of one event loop wait until runs have ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._woken: dict[str, asyncio.Event] = {}

    async def wait(self, run: Run) -> bool:
        """Wait until the run has ended, also if its end is moved; return False if woken before that."""
        woken = self._woken.setdefault(run.run_id, asyncio.Event())
        try:
            while not woken.is_set() and not run.ended(self._clock()):
                left = None if run.ends_at is None else run.ends_at - self._clock()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(woken.wait(), left)
        finally:
            self._woken.pop(run.run_id, None)
        return run.ended(self._clock())

    def wake(self, run_id: str) -> None:
        """Let the task that waits for a run check it now."""
        if run_id in self._woken:
            self._woken[run_id].set()

    def wake_all(self) -> None:
        """Release every waiter, also those of runs without an end."""
        for woken in self._woken.values():
            woken.set()

"""Waiting for runs to end: by their own time, or because somebody ended them earlier."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from airflow_provider_bitscale.emulator.state import Run


class Endings:
    """Lets tasks of one event loop wait for the end of runs; ``clock`` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._woken: dict[str, asyncio.Event] = {}

    async def wait(self, run: Run) -> bool:
        """Wait until the run is over, however its end is moved meanwhile; False if woken before its end."""
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
        """Have the waiter of a run look again at once."""
        if run_id in self._woken:
            self._woken[run_id].set()

    def wake_all(self) -> None:
        """Release every waiter, also those of runs without an end."""
        for woken in self._woken.values():
            woken.set()

"""How punctual an event loop is: a coroutine sleeps 5 ms at a time, and notes how late it wakes.

Lateness on the wall is what other triggers would feel, but a busy machine adds to it. So the CPU time that
the loop's thread used between two beats is noted too: what other processes take is not in it.

Run as ``python -m tests.benchmarks.beats``, it beats in a loop that does nothing else, and prints the figures
as JSON once its standard input has ended: how busy the machine was.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Sequence

BEAT = 0.005


class Beats:
    """The beats of one loop."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._busy: list[float] = []

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            wall, cpu = time.monotonic(), time.thread_time()
            await asyncio.sleep(BEAT)
            self._late.append(time.monotonic() - wall - BEAT)
            self._busy.append(time.thread_time() - cpu)

    def figures(self) -> dict[str, float]:
        """The 99th percentile and the greatest, in seconds, and how often the machine took the CPU away."""
        return {
            "late_p99": percentile(self._late, 0.99),
            "late_max": max(self._late),
            "busy_p99": percentile(self._busy, 0.99),
            "busy_max": max(self._busy),
            "preempted": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below this share of all."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def _beat_idly() -> None:
    beats = Beats()
    beating = asyncio.create_task(beats.beat())
    await asyncio.to_thread(sys.stdin.read)
    beating.cancel()
    print(json.dumps(beats.figures()))


if __name__ == "__main__":
    asyncio.run(_beat_idly())

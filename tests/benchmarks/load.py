"""One measured process: many waits in one event loop, and what they cost it.

Run as ``python -m tests.benchmarks.load WAITER ORIGIN COUNT INTERVAL …``; prints a line of JSON. CPU time is
that of the whole process, all its threads, from the start of the first wait to the end of the last: reading
1,000 Airflow connections is in it. It is hardly moved by what else the machine does, unlike time on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import resource
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# A triggerer has it loaded before any trigger runs.
import airflow.sdk.execution_time.supervisor  # noqa: F401

from tests.benchmarks.beats import Beats
from tests.benchmarks.waiters import WAITERS, Load, Waiter

# Far from the ids of the measured runs.
_REHEARSAL = "999999"


async def _measure(waiter: Waiter, load: Load, what: str) -> dict[str, Any]:
    if what == "cpu":
        # One run first, so that lazy imports and caches of the whole process do not count per poll.
        await waiter(Load(load.origin, [_REHEARSAL], load.interval, lambda _: None))
    gc.collect()
    if what == "memory":
        return await _memory(waiter, load)
    beats = Beats()
    beating = asyncio.create_task(beats.beat()) if what == "stalls" else None
    before = time.process_time()
    await waiter(load)
    measured: dict[str, Any] = {"cpu": time.process_time() - before}
    if beating is not None:
        beating.cancel()
        measured.update(beats.figures())
    return measured


async def _memory(waiter: Waiter, load: Load) -> dict[str, Any]:
    """Bytes that Python allocated and growth of the process, with all waiting and two polls done.

    The HTTP sessions that are open then are counted too.
    """
    import aiohttp

    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    allocated, _ = tracemalloc.get_traced_memory()
    waiting = asyncio.ensure_future(waiter(load))
    await asyncio.sleep(2.5 * load.interval)
    gc.collect()
    now, _ = tracemalloc.get_traced_memory()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    tracemalloc.stop()
    sessions = sum(isinstance(thing, aiohttp.ClientSession) for thing in gc.get_objects())
    await waiting
    return {"allocated": now - allocated, "grown": grown * 1024, "sessions": sessions}


def _run_ids(count: int, until: Sequence[float] | None) -> list[str]:
    if until is None:
        return [str(number) for number in range(count)]
    start = time.time()
    return [f"until-{start + random.uniform(*until):.6f}-{number}" for number in range(count)]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("waiter", choices=WAITERS)
    parser.add_argument("origin")
    parser.add_argument("count", type=int)
    parser.add_argument("interval", type=float)
    parser.add_argument("--measure", choices=("cpu", "stalls", "memory", "end"), default="cpu")
    parser.add_argument("--until", type=float, nargs=2, metavar=("LOW", "HIGH"), help="seconds runs take")
    parser.add_argument("--runs", type=Path, help="a file with a JSON list of run ids")
    options = parser.parse_args()
    finished: dict[str, float] = {}
    load = Load(
        options.origin,
        json.loads(options.runs.read_text()) if options.runs else _run_ids(options.count, options.until),
        options.interval,
        lambda run_id: finished.setdefault(run_id, time.time()),
    )
    measured = asyncio.run(_measure(WAITERS[options.waiter], load, options.measure))
    if len(finished) != options.count:
        raise RuntimeError(f"{len(finished)} of {options.count} runs finished")
    if options.until is not None:
        measured["late"] = [at - float(run_id.split("-")[1]) for run_id, at in finished.items()]
    print(json.dumps(measured))


if __name__ == "__main__":
    main()

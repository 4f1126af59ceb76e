"""One measured process: how a table is enriched without this provider.

Run as ``python -m tests.benchmarks.batch_peers WAY ORIGIN ROWS [POLLS]``; prints a line of JSON with the
seconds on the wall and of CPU. ``threads`` and ``gather`` are what one would write today: each row is
submitted, and its run polled every five seconds; a 429 is asked again after a second. ``bare`` is no way to
do it, but the cost of the requests as such: all rows are submitted, then their runs polled ``POLLS`` times in
all, whatever the answer. ``fresh`` is the same with a new connection for each submission, which is what makes
a lost one unambiguous: no server can be closing it while the request is sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import Any

import aiohttp

# A task's process has it loaded, and to look through its objects is a part of the cost of all others.
import airflow.sdk.execution_time.task_runner  # noqa: F401
import requests

from airflow_provider_bitscale.emulator.seed import API_KEY, COMPANY, FULL_NAME, GRID_ID, WORKSPACE_ID

_POLL_SECONDS = 5.0
_THREADS = 32
_AT_ONCE = 100
_BARE_AT_ONCE = 64
_REHEARSAL = 50
_HEADERS = {"api_key": API_KEY, "workspace-id": WORKSPACE_ID}
_RUNS = f"/api/v1/grids/{GRID_ID}/runs"
_SUBMIT = f"/api/v1/grids/{GRID_ID}/run"


def _body(number: int) -> dict[str, Any]:
    return {"mode": "async", "inputs": {FULL_NAME: f"Person {number}", COMPANY: "Analytical Engines"}}


def threads(origin: str, rows: int) -> None:
    """A pool of threads with requests, each thread busy with one row to its end."""
    with requests.Session() as session, ThreadPoolExecutor(_THREADS) as pool:
        session.headers.update(_HEADERS)

        def ask(method: str, path: str, body: Any = None) -> Any:
            while True:
                answer = session.request(method, origin + path, json=body, timeout=30)
                if answer.status_code != 429:
                    answer.raise_for_status()
                    return answer.json()
                time.sleep(1)

        def enrich(number: int) -> None:
            run = ask("POST", _SUBMIT, _body(number))
            while run["status"] != "completed":
                time.sleep(_POLL_SECONDS)
                run = ask("GET", f"{_RUNS}/{run['run_id']}")

        list(pool.map(enrich, range(rows)))


async def gather(origin: str, rows: int) -> None:
    """Tasks with one aiohttp session and a semaphore, which a row holds to its end."""
    semaphore = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(origin, headers=_HEADERS) as session:

        async def ask(method: str, path: str, body: Any = None) -> Any:
            while True:
                async with session.request(method, path, json=body) as answer:
                    if answer.status != 429:
                        answer.raise_for_status()
                        return await answer.json()
                await asyncio.sleep(1)

        async def enrich(number: int) -> None:
            async with semaphore:
                run = await ask("POST", _SUBMIT, _body(number))
                while run["status"] != "completed":
                    await asyncio.sleep(_POLL_SECONDS)
                    run = await ask("GET", f"{_RUNS}/{run['run_id']}")

        await asyncio.gather(*map(enrich, range(rows)))


async def bare(origin: str, rows: int, polls: int, *, fresh: bool = False) -> None:
    """All submissions, then all polls, 64 at a time.

    :param fresh: open a connection for each submission, as we do; else all connections are kept.
    """
    async with _session(origin, fresh) as submitting, _session(origin, False) as polling:
        runs = await _ask_all(submitting, (("POST", _SUBMIT, _body(number)) for number in range(rows)))
        paths = cycle(f"{_RUNS}/{run['run_id']}" for run in runs)
        await _ask_all(polling, (("GET", path, None) for path in islice(paths, polls)))


def _session(origin: str, fresh: bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=_BARE_AT_ONCE, force_close=fresh)
    return aiohttp.ClientSession(origin, headers=_HEADERS, connector=connector)


async def _ask_all(session: aiohttp.ClientSession, requests: Iterator[tuple[str, str, Any]]) -> list[Any]:
    answers: list[Any] = []

    async def ask() -> None:
        for method, path, body in requests:
            async with session.request(method, path, json=body) as answer:
                answers.append(await answer.json())

    await asyncio.gather(*(ask() for _ in range(_BARE_AT_ONCE)))
    return answers


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=("threads", "gather", "bare", "fresh"))
    parser.add_argument("origin")
    parser.add_argument("rows", type=int)
    parser.add_argument("polls", type=int, nargs="?", default=0)
    options = parser.parse_args()
    fresh = options.way == "fresh"
    if fresh or options.way == "bare":
        # One small batch first, as in the process it is compared with.
        asyncio.run(bare(options.origin, _REHEARSAL, _REHEARSAL, fresh=fresh))
    wall, cpu = time.monotonic(), time.process_time()
    if options.way == "threads":
        threads(options.origin, options.rows)
    elif options.way == "gather":
        asyncio.run(gather(options.origin, options.rows))
    else:
        asyncio.run(bare(options.origin, options.rows, options.polls, fresh=fresh))
    print(json.dumps({"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()

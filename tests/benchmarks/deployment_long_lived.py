"""Four long-lived processes that always have work, under a limit of which nothing tells.

Run as ``python -m tests.benchmarks.deployment_long_lived SECONDS``, a process submits a run and then polls it
as often as it may, for so many seconds. Prints the id of the run, by which its requests are known.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.benchmarks.batch_runs import emulator
from tests.benchmarks.deployment_runs import UNTOLD_OPTIONS
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.processes import run_json

_PROCESSES = 4
_SECONDS = 60
_TIMEOUT = 180.0


def long_lived(home: Path) -> list[Figure]:
    """Refusals, use of the limit, and the part of each, while all of them are at it."""
    home = home / "long-lived"
    home.mkdir()
    arguments = ["-m", "tests.benchmarks.deployment_long_lived", str(_SECONDS)]
    with emulator(home, *UNTOLD_OPTIONS) as server, ThreadPoolExecutor(_PROCESSES) as pool:
        env = server.environment(home)
        running = [pool.submit(run_json, arguments, env, timeout=_TIMEOUT) for _ in range(_PROCESSES)]
        run_ids = [each.result() for each in running]
        wire = server.wire()
    polls = [
        [
            each["at"]
            for each in wire.exchanges
            if each["path"].endswith(f"/{run_id}") and each["status"] == 200
        ]
        for run_id in run_ids
    ]
    first, last = max(each[0] for each in polls), min(each[-1] for each in polls)
    counts = [sum(first <= at < last for at in each) for each in polls]
    rate = sum(counts) / (last - first)
    shares = [100 * count / sum(counts) for count in counts]
    return [
        at_most(
            "four long-lived processes: refused",
            wire.refused,
            0,
            raw=f"of {len(wire.exchanges)} requests; once 15 %",
        ),
        at_least(
            "four long-lived processes: requests a second",
            rate,
            4.7,
            raw=f"{sum(counts)} in {last - first:.1f} s; 4.75 are booked; once 4.5",
        ),
        Figure(
            "four long-lived processes: part of each",
            f"{min(shares):.1f} to {max(shares):.1f} %",
            "24 to 26 %",
            min(shares) >= 24 and max(shares) <= 26,
            ", ".join(map(str, counts)),
        ),
    ]


def main() -> None:
    """Poll, and print the id of the run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    seconds = parser.parse_args().seconds
    client = BitScaleHook().client
    run_id = str(client.run_grid(GRID_ID, {"full_name": "Ada Lovelace"}).run_id)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.get_run(GRID_ID, run_id)
    print(json.dumps(run_id))


if __name__ == "__main__":
    main()

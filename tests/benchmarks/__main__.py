"""``python -m tests.benchmarks [NAME …]``: measure all, or those named, and print one table at the end.

``deployment`` stands for all whose names begin with it and a dash.

The exit code is 0 whatever the figures are: a benchmark informs, it does not judge.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.batch import batch
from tests.benchmarks.batch_kills import batch_kills
from tests.benchmarks.bookings import bookings
from tests.benchmarks.cpu import beside_bare_loop, beside_peers
from tests.benchmarks.deployment import deferred, long_mapped, mapped, with_headers, with_scarce_headers
from tests.benchmarks.deployment_beside_batch import beside_batch
from tests.benchmarks.deployment_long_lived import long_lived
from tests.benchmarks.deployment_redis import two_machines, without_redis
from tests.benchmarks.figures import Figure, table
from tests.benchmarks.hops import hops
from tests.benchmarks.imports import imports
from tests.benchmarks.latency import latency
from tests.benchmarks.loop import stalls_and_memory
from tests.benchmarks.pacing import pacing
from tests.benchmarks.virtual import virtual
from tests.benchmarks.ways import ways
from tests.benchmarks.webhooks import webhooks

BENCHMARKS: dict[str, Callable[[Path], list[Figure]]] = {
    "bare": beside_bare_loop,
    "peers": beside_peers,
    "loop": stalls_and_memory,
    "imports": imports,
    "hops": hops,
    "latency": latency,
    "pacing": pacing,
    "bookings": bookings,
    "batch": batch,
    "kills": batch_kills,
    "webhooks": webhooks,
    "virtual": virtual,
    "ways": ways,
    "deployment-mapped": mapped,
    "deployment-deferred": deferred,
    "deployment-headers": with_headers,
    "deployment-scarce": with_scarce_headers,
    "deployment-processes": long_lived,
    "deployment-outage": without_redis,
    "deployment-machines": two_machines,
    "deployment-batch": beside_batch,
    "deployment-long": long_mapped,
}


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    asked = {name: _named(name) for name in parser.parse_args().names or BENCHMARKS}
    if unknown := [name for name, names in asked.items() if not names]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bitscale-benchmarks-") as home:
        for name in dict.fromkeys(name for names in asked.values() for name in names):
            print(f"{name} … ", end="", flush=True, file=sys.stderr)
            start = time.monotonic()
            figures += BENCHMARKS[name](Path(home))
            print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    print(table(figures))
    return 0


def _named(name: str) -> list[str]:
    return [each for each in BENCHMARKS if each == name or each.startswith(f"{name}-")]


if __name__ == "__main__":
    sys.exit(main())

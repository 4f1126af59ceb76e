"""What a batch costs its worker where no rate limit slows it: CPU of a row, and memory of many.

CPU is measured in turns with a bare loop that sends the same number of requests, each turn in a fresh process
with a fresh emulator; the ratio is the median over the rounds. The planner alone, under a virtual clock, is
measured together with the simulation around it.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.batch_runs import emulator, run_batch
from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import run_json
from tests.support.batch_process import write_rows
from tests.support.processes import environment

_ROUNDS = 5
_ROWS = 2_000
_SHORT_RUNS = ("--run-seconds", "0.2", "0.5")
_FEW, _MANY = 1_000, 100_000
_MB = 1e6
_TIMEOUT = 900.0
_SIMULATION = f"""
import time
from tests.support.simulation import lognormal_with_stragglers, simulate
report = simulate({_MANY}, 50, lognormal_with_stragglers)
print([time.process_time(), report.wall, report.submits + report.looks])
"""


def batch_size(home: Path) -> list[Figure]:
    """CPU beside a bare loop, CPU of the planner, and growth."""
    return [_beside_bare_loop(home), _planner(home), _growth(home)]


def _beside_bare_loop(home: Path) -> Figure:
    turns = [_turn(home / f"turn{number}") for number in range(_ROUNDS)]
    ratios = [ours / theirs for ours, theirs, _ in turns]
    ours, theirs, requests = (median(side) for side in zip(*turns, strict=True))
    return at_most(
        "CPU a row / bare loop, the same number of requests",
        median(ratios),
        1.5,
        raw=f"{ours * 1e6:.0f} / {theirs * 1e6:.0f} us a row, {requests:.2f} requests a row; "
        f"{_ROUNDS} rounds of {_ROWS:,} rows, ratios {min(ratios):.2f} to {max(ratios):.2f}",
    )


def _turn(folder: Path) -> tuple[float, float, float]:
    """CPU seconds of a row, ours and the bare loop's, and requests a row."""
    rows = write_rows(folder, _ROWS)
    with emulator(folder, *_SHORT_RUNS) as server:
        ours = run_batch(server, rows, "--rehearse")
        requests = sum(each["at"] >= ours["started_at"] for each in server.wire().exchanges)
    with emulator(folder, *_SHORT_RUNS) as server:
        arguments = ["bare", server.origin, str(_ROWS), str(requests - _ROWS)]
        theirs = run_json(
            ["-m", "tests.benchmarks.batch_peers", *arguments], environment(folder), timeout=_TIMEOUT
        )
    return ours["cpu"] / _ROWS, theirs["cpu"] / _ROWS, requests / _ROWS


def _planner(home: Path) -> Figure:
    cpu, wall, requests = run_json(["-c", _SIMULATION], environment(home), timeout=_TIMEOUT)
    return at_most(
        f"CPU of the planner, {_MANY:,} rows",
        cpu,
        60,
        unit=" s",
        raw=f"with the simulation around it; {wall:,.0f} s go by, {requests / _MANY:.2f} requests a row",
    )


def _growth(home: Path) -> Figure:
    few, many = (_batch_of(home / f"rows{count}", count) for count in (_FEW, _MANY))
    return at_most(
        f"memory: growth from {_FEW:,} to {_MANY:,} rows",
        (many["peak"] - few["peak"]) / _MB,
        100,
        unit=" MB",
        raw=f"peaks {few['peak'] / _MB:.0f} and {many['peak'] / _MB:.0f} MB; {_MANY:,} rows took "
        f"{many['wall']:.0f} s, {many['cpu'] / _MANY * 1e6:.0f} us of CPU a row",
    )


def _batch_of(folder: Path, count: int) -> dict[str, Any]:
    rows = write_rows(folder, count)
    with emulator(folder, *_SHORT_RUNS) as server:
        return run_batch(server, rows, timeout=_TIMEOUT)

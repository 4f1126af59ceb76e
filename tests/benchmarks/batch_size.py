"""What a batch costs its worker where no rate limit slows it: CPU of a row, and memory of many.

CPU is measured in turns with bare loops that send the same number of requests, each turn in a fresh process
with a fresh emulator; the ratio is the median over the rounds. A submission may be lost with a connection
that was kept, paid for or not; so the bare loop that counts opens one for each submission, as a batch does,
and the other is there to compare. The scheduler alone, under a virtual clock, is measured together with the
simulation around it.
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
print([time.process_time(), report.wall, report.submits + report.polls])
"""


def batch_size(home: Path) -> list[Figure]:
    """CPU beside bare loops, CPU of the scheduler, and growth."""
    return [*_beside_bare_loops(home), _scheduler(home), _growth(home)]


def _beside_bare_loops(home: Path) -> list[Figure]:
    turns = [_turn(home / f"turn{number}") for number in range(_ROUNDS)]
    requests = median(turn["requests"] for turn in turns)

    def beside(way: str) -> tuple[float, str]:
        ratios = [turn["ours"] / turn[way] for turn in turns]
        ours, theirs = (median(turn[side] for turn in turns) * 1e6 for side in ("ours", way))
        return median(ratios), (
            f"{ours:.0f} / {theirs:.0f} us a row, {requests:.2f} requests a row; "
            f"{_ROUNDS} rounds of {_ROWS:,} rows, ratios {min(ratios):.2f} to {max(ratios):.2f}"
        )

    fresh, kept = beside("fresh"), beside("bare")
    return [
        at_most("CPU a row / bare loop as safe: a connection a submission", fresh[0], 1.5, raw=fresh[1]),
        Figure("  to compare: / bare loop that keeps all connections", f"{kept[0]:.3g}", raw=kept[1]),
    ]


def _turn(folder: Path) -> dict[str, float]:
    """CPU seconds of a row, ours and each bare loop's, and requests a row."""
    rows = write_rows(folder, _ROWS)
    with emulator(folder, *_SHORT_RUNS) as server:
        ours = run_batch(server, rows, "--rehearse")
        requests = sum(each["at"] >= ours["started_at"] for each in server.wire().exchanges)
    turn = {"ours": ours["cpu"] / _ROWS, "requests": requests / _ROWS}
    for way in ("fresh", "bare"):
        with emulator(folder, *_SHORT_RUNS) as server:
            arguments = [way, server.origin, str(_ROWS), str(requests - _ROWS)]
            theirs = run_json(
                ["-m", "tests.benchmarks.batch_peers", *arguments], environment(folder), timeout=_TIMEOUT
            )
        turn[way] = theirs["cpu"] / _ROWS
    return turn


def _scheduler(home: Path) -> Figure:
    cpu, wall, requests = run_json(["-c", _SIMULATION], environment(home), timeout=_TIMEOUT)
    return at_most(
        f"CPU of the scheduler, {_MANY:,} rows",
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

"""How well a batch uses a rate limit, from the emulators' records of the wire.

Runs take 2 to 10 s (log-normal) and one in twenty a minute, and 50 requests a second are allowed. Measured
side by side, each with an emulator of its own as none of them needs much CPU: the operator in both modes, two
processes of it that share one key, and two ways to do without this provider. These are given fewer rows; what
all rows would have taken them follows from the rate at which they submit once all their hands are busy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.batch_runs import Wire, emulator, run_batch
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.processes import run_json
from tests.support.batch_process import write_rows
from tests.support.processes import environment

_LIMIT = 50.0
_LONGEST_RUN = 60.0
# 19 of 20 take 4.8 s in the mean.
_MEAN_RUN = 7.6
_OPTIONS = ("--rate-limit", "50/1", "--run-seconds", "2", "10", "--slow-runs", "0.05", "60")
_ROWS = 5_000
_ROWS_OF_EACH = 1_500
_FAIR_429S = 0.001
_TIMEOUT = 900.0


@dataclass(frozen=True)
class _Measured:
    """Rows done, what left on the wire for them, and seconds on the wall for each process."""

    rows: int
    wire: Wire
    walls: list[float]

    @property
    def requests_per_row(self) -> float:
        return len(self.wire.exchanges) / self.rows

    @property
    def share_refused(self) -> float:
        return self.wire.refused / len(self.wire.exchanges)

    @property
    def refused(self) -> str:
        return f"{self.wire.refused} of {len(self.wire.exchanges):,} requests"

    def rows_per_second(self, at_once: int | None = None) -> float:
        """Rows a second in a batch of 5,000; ``at_once`` to continue a smaller one with so many hands."""
        wall = self.walls[0]
        if at_once is not None:
            times = [submit["at"] for submit in self.wire.submits[at_once:]]
            wall += (_ROWS - self.rows) * (times[-1] - times[0]) / (len(times) - 1)
        return _ROWS / wall


def batch_limit(home: Path) -> list[Figure]:
    """Requests a row, use of the limit, and time, beside the bound and beside two other ways."""
    with ThreadPoolExecutor() as pool:
        measuring = [
            pool.submit(_ours, home / "async", "async"),
            pool.submit(_ours, home / "sync", "sync"),
            pool.submit(_two, home / "two"),
            pool.submit(_other, home / "threads", "threads", 600),
            pool.submit(_other, home / "gather", "gather", 1_500),
        ]
        many, sync, two, threads, gather = (each.result() for each in measuring)
    others = {"threads": threads.rows_per_second(32), "gather": gather.rows_per_second(100)}
    beside = ", ".join(f"{name} {rate:.1f}" for name, rate in others.items()) + (
        f" rows/s, continued from {threads.rows} and {gather.rows:,} rows; "
        f"429s: {threads.wire.refused} and {gather.wire.refused}"
    )
    return [
        _requests(many, "async", 2.1),
        _requests(sync, "sync", 1.02),
        *_use(many, "", 0.95),
        *_use(two, ", two processes with one key", 0.85),
        _time(many, "async", 2),
        _time(sync, "sync", 1),
        *(
            at_least(
                f"rows a second / better of two hand-written ways, {mode}",
                measured.rows_per_second() / max(others.values()),
                3,
                raw=f"{measured.rows_per_second():.1f} rows/s; {beside}",
            )
            for mode, measured in (("async", many), ("sync", sync))
        ),
    ]


def _ours(folder: Path, mode: str) -> _Measured:
    rows = write_rows(folder, _ROWS)
    with emulator(folder, *_OPTIONS) as server:
        measured = run_batch(server, rows, "--mode", mode)
        return _Measured(_ROWS, server.wire(), [measured["wall"]])


def _two(folder: Path) -> _Measured:
    tables = [write_rows(folder / str(number), _ROWS_OF_EACH, first=number * _ROWS) for number in range(2)]
    with emulator(folder, *_OPTIONS) as server, ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda rows: run_batch(server, rows), tables))
        return _Measured(2 * _ROWS_OF_EACH, server.wire(), [each["wall"] for each in both])


def _other(folder: Path, way: str, rows: int) -> _Measured:
    folder.mkdir(parents=True)
    with emulator(folder, *_OPTIONS) as server:
        arguments = ["-m", "tests.benchmarks.batch_peers", way, server.origin, str(rows)]
        measured = run_json(arguments, environment(folder), timeout=_TIMEOUT)
        return _Measured(rows, server.wire(), [measured["wall"]])


def _requests(measured: _Measured, mode: str, limit: float) -> Figure:
    raw = f"{len(measured.wire.exchanges):,} requests, {measured.rows:,} rows"
    return at_most(f"requests a row, {mode}", measured.requests_per_row, limit, raw=raw)


def _use(measured: _Measured, whose: str, target: float) -> list[Figure]:
    walls = " and ".join(f"{wall:.0f}" for wall in measured.walls)
    return [
        at_least(
            f"share of the limit used while submitting{whose}",
            measured.wire.share_used(_LIMIT),
            target,
            raw=f"{measured.rows:,} rows in {walls} s",
        ),
        at_most(f"share of 429s{whose}", measured.share_refused, _FAIR_429S, raw=measured.refused),
    ]


def _time(measured: _Measured, mode: str, requests_needed: int) -> Figure:
    sending = measured.rows * requests_needed / _LIMIT
    bound = sending + _LONGEST_RUN
    return at_most(
        f"time / (requests needed / limit + one run), {mode}",
        measured.walls[0] / bound,
        1.08,
        raw=f"{measured.walls[0]:.0f} s; the longest run takes {_LONGEST_RUN:.0f} s, "
        f"with the mean run of {_MEAN_RUN} s: {measured.walls[0] / (sending + _MEAN_RUN):.2f}",
    )

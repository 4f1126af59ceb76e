"""Batches whose worker is killed again and again (SIGKILL), and what their rows have cost in the end.

Each try is a process of its own, on the same machine; what it wrote to its task state store, to the output
and to the log of what it sent is all that the next one has. The kill comes at a random moment after the
operator has started.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.batch_runs import Emulator, batch_arguments, emulator, write_rows
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.processes import ROOT, ProcessFailedError

_KILLS = 20
_ROWS = 2_000
_OPTIONS = ("--rate-limit", "500/1", "--run-seconds", "0.2", "2")
_KILLED_AFTER = (0.3, 3.0)
# Requests that are under way when the worker is killed cannot be told from those that were lost.
_MOST_AMBIGUOUS = 5.0


def batch_kills(home: Path) -> list[Figure]:
    """Runs paid for twice, and rows that are not in the output once."""
    kills = batches = paid = paid_again = parked = never_sent = wrong = 0
    while kills < _KILLS:
        rows = write_rows(home / f"batch{batches}", _ROWS)
        with emulator(rows.parent, *_OPTIONS) as server:
            while (manifest := _try(server, rows, random.uniform(*_KILLED_AFTER))) is None:
                kills += 1
            accepted = Counter(submit["body"] for submit in server.wire().submits)
        batches += 1
        paid += accepted.total()
        paid_again += accepted.total() - len(accepted)
        parked += manifest["counts"]["unknown"]
        never_sent += _ROWS - len(accepted)
        wrong += _not_once(manifest["parts"])
    rows_in_all = batches * _ROWS
    raw = f"{kills} kills in {batches} batches of {_ROWS:,} rows, each gone on with to its end"
    return [
        at_least("batches with their worker killed: kills", kills, _KILLS, raw=raw),
        at_most(
            "  runs paid for a second time", paid_again, 0, raw=f"{paid:,} paid for {rows_in_all:,} rows"
        ),
        at_most(
            "  rows that are ambiguous, a kill",
            parked / kills,
            _MOST_AMBIGUOUS,
            raw=f"{parked:,} unknown, of which {never_sent:,} had not reached BitScale",
        ),
        at_most("  rows that the output does not have once", wrong, 0, raw=f"{rows_in_all:,} rows"),
    ]


def _try(server: Emulator, rows: Path, killed_after: float) -> dict[str, Any] | None:
    """One try; the manifest, or None if it was killed first."""
    problems = rows.parent / "problems.txt"
    with (
        problems.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, *batch_arguments(rows)],
            cwd=ROOT,
            env=server.environment(rows.parent),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as worker,
    ):
        assert worker.stdout is not None
        worker.stdout.readline()
        try:
            worker.wait(killed_after)
        except subprocess.TimeoutExpired:
            worker.kill()
            return None
        printed = worker.stdout.readlines()
    if worker.returncode:
        raise ProcessFailedError(f"a try ended with {worker.returncode}:\n{problems.read_text()[-2000:]}")
    manifest: dict[str, Any] = json.loads(printed[-1])["manifest"]
    return manifest


def _not_once(parts: Sequence[str]) -> int:
    """Rows that are missing, and those that are there again."""
    found: Counter[int] = Counter()
    for part in parts:
        with Path(part.removeprefix("file://")).open() as lines:
            found.update(json.loads(line)["id"] for line in lines)
    return sum(abs(found[number] - 1) for number in range(_ROWS))

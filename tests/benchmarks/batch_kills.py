"""Batches whose worker is killed again and again (SIGKILL), and what their rows have cost in the end.

Each try is a process of its own; what it wrote to its task state store, to the output and, on the same
machine, to the log of what it sent is all that the next one has. The kill comes at a random moment after the
try has submitted its first row.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.batch_runs import Emulator, emulator
from tests.benchmarks.figures import Figure, at_least, at_most
from tests.benchmarks.processes import ROOT, ProcessFailedError
from tests.support.batch_process import batch_arguments, write_rows

_RUN_SECONDS = ("--run-seconds", "0.2", "2")
_KILLED_AFTER = (0.1, 2.5)
_SEEN_EVERY = 0.1
_LONGEST_TRY = 120.0


@dataclass(frozen=True)
class _Series:
    """How batches are killed.

    :param rows: of a batch.
    :param rate: requests a second that BitScale allows.
    :param moves: whether each try is on another machine, without the log of what the one before had sent.
    :param most_ambiguous: rows that may be ambiguous, a kill.
    """

    title: str
    kills: int
    rows: int
    rate: int
    moves: bool
    most_ambiguous: float


_SERIES = (
    # Requests that are under way when the worker is killed cannot be told from those that were lost.
    _Series("workers killed, retried on the same machine", 20, 2_000, 500, False, 5.0),
    # Nor can rows that were announced, and perhaps not sent, where no log tells: half a second's worth.
    _Series("workers killed, retried elsewhere", 8, 2_000, 500, True, 250.0),
    _Series("workers killed, retried elsewhere, 10 requests/s", 4, 100, 10, True, 10.0),
)


def batch_kills(home: Path) -> list[Figure]:
    """Runs paid for twice, and rows that are not in the output once."""
    return [
        figure
        for number, series in enumerate(_SERIES)
        for figure in _figures(home / f"kills{number}", series)
    ]


def _figures(home: Path, series: _Series) -> list[Figure]:
    kills = batches = paid = paid_again = parked = never_sent = wrong = 0
    while kills < series.kills:
        rows = write_rows(home / f"batch{batches}", series.rows)
        with emulator(rows.parent, "--rate-limit", f"{series.rate}/1", *_RUN_SECONDS) as server:
            tries = 0
            while (manifest := _try(server, rows, tries if series.moves else 0)) is None:
                tries += 1
            accepted = Counter(submit["body"] for submit in server.wire().submits)
        kills += tries
        batches += 1
        paid += accepted.total()
        paid_again += accepted.total() - len(accepted)
        parked += manifest["counts"]["unknown"]
        never_sent += series.rows - len(accepted)
        wrong += _not_once(manifest["parts"], series.rows)
    rows_in_all = batches * series.rows
    raw = f"{kills} kills in {batches} batches of {series.rows:,} rows, each gone on with to its end"
    return [
        at_least(f"{series.title}: kills", kills, series.kills, raw=raw),
        at_most(
            "  runs paid for a second time", paid_again, 0, raw=f"{paid:,} paid for {rows_in_all:,} rows"
        ),
        at_most(
            "  rows that are ambiguous, a kill",
            parked / max(1, kills),
            series.most_ambiguous,
            raw=f"{parked:,} unknown, of which {never_sent:,} had not reached BitScale",
        ),
        at_most("  rows that the output does not have once", wrong, 0, raw=f"{rows_in_all:,} rows"),
    ]


def _try(server: Emulator, rows: Path, machine: int) -> dict[str, Any] | None:
    """One try; the manifest, or None if it was killed first.

    :param machine: tries on the same one share their temporary files.
    """
    problems = rows.parent / "problems.txt"
    temporary = rows.parent / f"machine{machine}"
    temporary.mkdir(exist_ok=True)
    paid = server.runs_paid()
    with (
        problems.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, *batch_arguments(rows)],
            cwd=ROOT,
            env={**server.environment(rows.parent), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as worker,
    ):
        assert worker.stdout is not None
        give_up_at = time.monotonic() + _LONGEST_TRY
        while worker.poll() is None and server.runs_paid() == paid and time.monotonic() < give_up_at:
            time.sleep(_SEEN_EVERY)
        try:
            worker.wait(random.uniform(*_KILLED_AFTER))
        except subprocess.TimeoutExpired:
            worker.kill()
            return None
        printed = worker.stdout.readlines()
    if worker.returncode:
        raise ProcessFailedError(f"a try ended with {worker.returncode}:\n{problems.read_text()[-2000:]}")
    manifest: dict[str, Any] = json.loads(printed[-1])["manifest"]
    return manifest


def _not_once(parts: Sequence[str], rows: int) -> int:
    """Rows that are missing, and those that are there again."""
    found: Counter[int] = Counter()
    for part in parts:
        with Path(part.removeprefix("file://")).open() as lines:
            found.update(json.loads(line)["id"] for line in lines)
    return sum(abs(found[number] - 1) for number in range(rows))

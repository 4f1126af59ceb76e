"""How soon a large batch goes on after its worker has died: until its first request for a run leaves.

The earlier try is a real one that is killed after its first row; what it would have left in the state store
later on is written there for it. The store answers over HTTP.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from airflow_provider_bitscale.batch.row_result import SUCCEEDED
from airflow_provider_bitscale.batch.store.batch_record import BatchRecord, read_batch
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.segment_records import SegmentRecord, Summary
from tests.benchmarks.batch_runs import Emulator, emulator
from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import ROOT
from tests.support.batch_process import batch_arguments, write_rows
from tests.support.state_store import ANSWER_SECONDS, FolderStore, served
from tests.support.waiting import wait_until

_ROWS = 200_000
_SEGMENT = 500
# Each of the others is finished, and has left a summary.
_OPEN_EVERY = 5


def batch_going_on(home: Path) -> list[Figure]:
    """Seconds from the start of the operator to the first request."""
    rows = write_rows(home / "batch", _ROWS)
    store = FolderStore(rows.parent / "store")
    with emulator(rows.parent, "--run-seconds", "600", "600") as server, served(store) as origin:
        _try(server, rows, origin, lambda: server.runs_paid() > 0)
        batch = read_batch(store)
        assert batch is not None
        keys = _leave(store, batch)
        earlier = len(_requests(server))
        started_at, cpu = _try(server, rows, origin, lambda: len(_requests(server)) > earlier)
        at = _requests(server)[earlier]
    return [
        at_most(
            f"going on with a batch of {_ROWS:,} rows: until its first request",
            at - started_at,
            5,
            unit=" s",
            raw=f"{cpu:.1f} s of CPU; {keys} values read, {ANSWER_SECONDS * 1e3:.0f} ms each",
        )
    ]


def _leave(store: FolderStore, batch: BatchRecord) -> int:
    """Write what a try leaves that has begun every segment; how many values that are."""
    journal = Journal(store, replace(batch, opened=0))
    count = _ROWS // _SEGMENT
    for number in range(count):
        journal.open(number, SegmentRecord([None] * _SEGMENT))
        for row in range(_SEGMENT):
            journal.note(number, row, f"run_{number:08d}{row:016d}")
        if number % _OPEN_EVERY:
            journal.finish(number, Summary(f"part-{number:05d}.jsonl", {SUCCEEDED: _SEGMENT}, 1.0, 0))
    changes = journal.changes()
    values = changes.values(batch.batch_id)
    journal.write(replace(changes, dropped=[]))
    return len(values)


def _try(server: Emulator, rows: Path, origin: str, done: Callable[[], bool]) -> tuple[float, float]:
    """One try, killed once this is so.

    :return: when its operator started, in Unix seconds, and seconds of CPU since then.
    """
    with subprocess.Popen(
        [sys.executable, *batch_arguments(rows, "--store", origin)],
        cwd=ROOT,
        env=server.environment(rows.parent),
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        started_at = float(worker.stdout.readline().rpartition(" ")[2])
        process = psutil.Process(worker.pid)
        before = sum(process.cpu_times()[:2])
        try:
            wait_until(done, "the request of a batch", every=0.1)
            cpu = sum(process.cpu_times()[:2]) - before
        finally:
            worker.kill()
    return started_at, cpu


def _requests(server: Emulator) -> list[float]:
    """When submissions and polls arrived, in Unix seconds."""
    return [each["at"] for each in server.wire().exchanges if "/run" in each["path"]]

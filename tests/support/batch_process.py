"""One measured process: the operator as a worker runs it, on a table and into a folder.

Run as ``python -m tests.support.batch_process ROWS …``. Prints a line with the Unix time when the operator is
about to start, and at its end one of JSON: the manifest, when it started in Unix seconds, seconds on the wall
and of CPU (all threads of the process, without the imports), and the most memory that the process had, in
bytes.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

# A task's process has it loaded.
import airflow.sdk.execution_time.task_runner  # noqa: F401

from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from airflow_provider_bitscale.runs.options import Mode
from tests.support.state_store import FolderStore, HttpStore
from tests.support.task_runs import FakeTaskInstance

_REHEARSAL_ROWS = 50


def write_rows(folder: Path, count: int, *, first: int = 0) -> Path:
    """A table of rows that differ, each with its ``id`` from ``first`` on."""
    folder.mkdir(parents=True)
    path = folder / "rows.jsonl"
    with path.open("w") as lines:
        for number in range(first, first + count):
            row = {"id": number, "Full Name": f"Person {number}", "Company": "Analytical Engines"}
            lines.write(json.dumps(row) + "\n")
    return path


def batch_arguments(rows: Path, *options: str) -> list[str]:
    """Of a process that runs the operator on a table; what it writes goes beside the table."""
    return ["-m", "tests.support.batch_process", str(rows), *options]


def _run(rows: Path, mode: Mode, max_in_flight: int | None, store: FolderStore | HttpStore) -> dict[str, Any]:
    operator = RunGridBatchOperator(
        task_id="batch",
        grid_id=GRID_ID,
        rows_path=f"file://{rows}",
        output_path=f"file://{rows.parent / 'results'}",
        mode=mode,
        max_in_flight=max_in_flight,
        fail_when_incomplete=False,
    )
    return operator.execute({"ti": FakeTaskInstance(1), "task_state_store": store})  # type: ignore[typeddict-item]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="a file of JSON lines; what is written goes beside it")
    parser.add_argument("--mode", choices=("async", "sync"), default="async")
    parser.add_argument("--max-in-flight", type=int, help="runs under way at once")
    parser.add_argument("--store", help="origin of a task state store; else it is a folder beside the table")
    parser.add_argument("--rehearse", action="store_true", help="run a small batch first")
    options = parser.parse_args()
    if options.rehearse:
        # So that lazy imports and caches of the whole process do not count per row.
        rehearsal = write_rows(options.rows.parent / "rehearsal", _REHEARSAL_ROWS, first=10**9)
        _run(rehearsal, options.mode, options.max_in_flight, FolderStore(rehearsal.parent / "store"))
    store = HttpStore(options.store) if options.store else FolderStore(options.rows.parent / "store")
    started_at, wall, cpu = time.time(), time.monotonic(), time.process_time()
    print("starting at", started_at, flush=True)
    manifest = _run(options.rows, options.mode, options.max_in_flight, store)
    measured = {
        "manifest": manifest,
        "started_at": started_at,
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()

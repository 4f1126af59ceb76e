"""How far one row goes through the code: functions of the package that it enters, and files that they are in.

For information. A function is counted each time it is entered, not when it goes on after an ``await``; what a
module, a class body, a lambda or a comprehension does belongs to whatever is around it. A stay is a number of
functions one after another that are in one file.

Run as ``python -m tests.benchmarks.hops WHAT FOLDER``, it runs a batch of one row, or one run, and prints
what was entered as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import airflow_provider_bitscale
from airflow_provider_bitscale.emulator.seed import COMPANY, FULL_NAME, GRID_ID
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from tests.benchmarks.batch_runs import emulator
from tests.benchmarks.figures import Figure
from tests.benchmarks.processes import run_json
from tests.support.batch_process import write_rows
from tests.support.state_store import FolderStore
from tests.support.task_runs import FakeTaskInstance

_TIMEOUT = 300
_PACKAGE = Path(airflow_provider_bitscale.__file__).parent
# Where the way of a row begins and ends; a single run is followed for as long as its task executes.
_ANNOUNCED = ("batch/prefetch.py", "_announce_group")
_WRITTEN = ("batch/table/writers.py", "write_part")
# Each with the folders of the second count, and what that was in 0.1: by this script, and by hand.
_WAYS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "batch": ("row of a batch, announced to written", ("batch/",), "240 in 28 (249 in 28 by hand)"),
    "run": ("single run, waited for", ("operators/", "runs/"), "67 in 18 (56 in 15 by hand)"),
}


def hops(home: Path) -> list[Figure]:
    """Functions that a row of a batch and a single run enter."""
    return [_hops(home / f"hops {what}", what) for what in _WAYS]


def _hops(folder: Path, what: str) -> Figure:
    name, within, before = _WAYS[what]
    folder.mkdir()
    with emulator(folder, "--run-seconds", "0.2", "0.3") as server:
        arguments = ["-m", "tests.benchmarks.hops", what, str(folder)]
        entered = run_json(arguments, server.environment(folder), timeout=_TIMEOUT)
    files = [file for file, _ in entered]
    own = [file for file in files if file.startswith(within)]
    return Figure(
        f"hops of a {name}",
        f"{len(entered)} functions",
        raw=f"{_stays(files)}; {_stays(own)} of {' and '.join(within)}, once {before}",
    )


def _stays(files: list[str]) -> str:
    return f"{sum(1 for _ in groupby(files))} stays in {len(set(files))} files"


class _Way:
    """Notes what of the package is entered, in all threads, from one function to the end of another."""

    def __init__(self, first: tuple[str, str] | None, last: tuple[str, str] | None) -> None:
        self.entered: list[tuple[str, str]] = []
        self.has_ended = last is None
        self._notes = first is None
        self._first, self._last = first, last
        # A coroutine is called again whenever it goes on.
        self._frames: set[FrameType] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event not in ("call", "return") or _PACKAGE not in path.parents or frame.f_code.co_name[0] == "<":
            return
        function = (path.relative_to(_PACKAGE).as_posix(), frame.f_code.co_name)
        if event == "call":
            self._notes = self._notes or function == self._first
            if self._notes and frame not in self._frames:
                self._frames.add(frame)
                self.entered.append(function)
        elif function == self._last:
            self._notes, self._first, self.has_ended = False, None, bool(self.entered)


def _follow(what: str, folder: Path) -> _Way:
    common: dict[str, Any] = {"task_id": "hops", "grid_id": GRID_ID}
    context: Any = {"ti": FakeTaskInstance(1), "task_state_store": FolderStore(folder / "store")}
    operator: Any
    if what == "batch":
        rows, results = write_rows(folder / "table", 1), folder / "results"
        operator = RunGridBatchOperator(rows_path=f"file://{rows}", output_path=f"file://{results}", **common)
        way = _Way(_ANNOUNCED, _WRITTEN)
    else:
        inputs = {FULL_NAME: "Ada Lovelace", COMPANY: "Analytical Engines"}
        operator = RunGridOperator(inputs=inputs, poll_interval=0.5, deferrable=False, **common)
        way = _Way(None, None)
    threading.setprofile(way)
    sys.setprofile(way)
    try:
        operator.execute(context)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if not way.has_ended:
        raise RuntimeError(f"{_ANNOUNCED} or {_WRITTEN} was never entered: follow what they are called now")
    return way


def main() -> None:
    """Follow one row, and print what it entered."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=_WAYS)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(json.dumps(_follow(options.what, options.folder).entered))


if __name__ == "__main__":
    main()

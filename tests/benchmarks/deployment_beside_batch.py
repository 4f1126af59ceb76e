"""Small ones beside a great one: 50 deferred tasks and 10 worker waits that come to a batch of 1,000 rows.

All share one key, and one machine. Each of the 61 that want something has a fair part of the limit, a 61st:
alone at that part, each of the two requests of a row takes 61 / 5 seconds, and its run takes what it takes.
A small one may take twice as long, from when it first asks for a slot until it has its result. Questions
about the grid and polls that come too early are not in that time. Beside it stands what it is by a 27th: not
more than the batch, 16 submitting processes and 10 waits want something at the same time, triggers apart.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from airflow_provider_bitscale.emulator import EmulatorControl
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from tests.benchmarks.batch_runs import emulator
from tests.benchmarks.deployment_runs import UNTOLD, UNTOLD_OPTIONS, run_tasks
from tests.benchmarks.deployment_tasks import person
from tests.benchmarks.figures import Figure, at_most
from tests.benchmarks.processes import process
from tests.support.batch_process import batch_arguments, write_rows

_BATCH_ROWS = 1_000
_BATCH_AHEAD = 30.0
_DEFERRED, _WAITS = 50, 10
_DEFERRED_AT_ONCE = 16
_FIRST_DEFERRED, _FIRST_WAIT = 10_000, 20_000
_PARTIES = 1 + _DEFERRED + _WAITS
_PARTIES_AT_ONCE = 1 + _DEFERRED_AT_ONCE + _WAITS
_REQUESTS_OF_A_ROW = 2


def beside_batch(home: Path) -> list[Figure]:
    """How long small ones take, beside what they would alone at their fair part."""
    home = home / "beside batch"
    rows = write_rows(home / "batch", _BATCH_ROWS)
    shared = {"TMPDIR": str(home)}
    with ExitStack() as stack:
        server = stack.enter_context(emulator(home, *UNTOLD_OPTIONS))
        pool = stack.enter_context(ThreadPoolExecutor(2))
        stack.enter_context(process(batch_arguments(rows), server.environment(home)))
        time.sleep(_BATCH_AHEAD)
        deferred = pool.submit(
            run_tasks,
            server,
            home / "deferred",
            _DEFERRED,
            _DEFERRED_AT_ONCE,
            "--deferrable",
            "--first",
            str(_FIRST_DEFERRED),
            more=shared,
        )
        waits = pool.submit(
            run_tasks, server, home / "waits", _WAITS, _WAITS, "--first", str(_FIRST_WAIT), more=shared
        )
        tasks = [*deferred.result(), *waits.result()]
        wire = server.wire()
        state = EmulatorControl(server.origin).state()
    lengths = {
        run["inputs"][FULL_NAME]: run["completed_at"] - run["submitted_at"]
        for run in state["runs"]
        if run["completed_at"] is not None
    }
    ratios, strict = (
        [_seconds(task) / _alone(parties, lengths[person(task["number"])]) for task in tasks]
        for parties in (_PARTIES, _PARTIES_AT_ONCE)
    )
    slowest = max(tasks, key=_seconds)
    began = min(task["booked_at"] for task in tasks)
    ended = max(task.get("fired_at", task["exited_at"]) for task in tasks)
    of_batch = sum(began <= run["submitted_at"] < ended for run in state["runs"]) - len(tasks)
    return [
        at_most(
            "beside a batch: time of the slowest small one / alone at its part",
            max(ratios),
            2,
            raw=f"{_seconds(slowest):.1f} s, median {median(map(_seconds, tasks)):.1f} s; "
            f"{median(ratios):.2f} in the median; by a 27th {max(strict):.2f}; "
            f"in {ended - began:.0f} s the batch submitted {of_batch}",
        ),
        Figure("beside a batch: refused", str(wire.refused), raw=f"of {len(wire.exchanges)}"),
    ]


def _seconds(task: dict[str, Any]) -> float:
    return float(task.get("fired_at", task["exited_at"]) - task["booked_at"])


def _alone(parties: int, run_seconds: float) -> float:
    return _REQUESTS_OF_A_ROW * parties / UNTOLD.per_second + run_seconds

"""A worker that runs task instances as Airflow does: each in a process of its own, so many at a time.

They are forked from this process, which has imported Airflow and the operator, and nothing that sends a
request: no client, no pace and no shared state is there yet. Run as
``python -m tests.benchmarks.deployment_tasks FOLDER ROWS AT_ONCE …``; prints the tasks as JSON, in order.
With ``--deferrable`` a task ends by deferring, and its trigger goes, as JSON, to one triggerer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn, cast

# A task's process has it loaded.
import airflow.sdk.execution_time.task_runner  # noqa: F401
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger

from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from tests.benchmarks.processes import ProcessFailedError, process
from tests.support.task_runs import TaskRun

# A task that takes longer is ended.
PATIENCE = 600
_TRIGGERER = ("-m", "tests.benchmarks.deployment_triggerer")
_MOMENT = 0.005


def person(number: int) -> str:
    """The name in a row, which tells it from others."""
    return f"Person {number}"


class Worker:
    """Runs rows, so many at a time.

    :param folder: where each process leaves what became of its task.
    :param triggerer: where triggers go, a line of JSON each; None if the tasks wait themselves.
    """

    def __init__(self, folder: Path, at_once: int, triggerer: IO[str] | None) -> None:
        self._folder = folder
        self._at_once = at_once
        self._triggerer = triggerer
        self._running: dict[int, dict[str, Any]] = {}

    def run(self, first: int, rows: int) -> list[dict[str, Any]]:
        """Run so many rows from the first on; return each task with its times, in Unix seconds."""
        tasks: list[dict[str, Any]] = []
        while len(tasks) < rows or self._running:
            while len(tasks) < rows and len(self._running) < self._at_once:
                tasks.append(self._start(first + len(tasks)))
            self._reap()
            time.sleep(_MOMENT)
        return tasks

    def _start(self, number: int) -> dict[str, Any]:
        task: dict[str, Any] = {"number": number, "forked_at": time.time()}
        if (pid := os.fork()) == 0:
            _run_task(number, self._path(number), deferrable=self._triggerer is not None)
        self._running[pid] = task
        return task

    def _reap(self) -> None:
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                task = self._running.pop(pid)
                task["exited_at"] = time.time()
                if status:
                    raise ProcessFailedError(f"task {task['number']} ended with {status}")
                task.update(json.loads(self._path(task["number"]).read_text()))
                if self._triggerer is not None:
                    trigger = {"number": task["number"], "trigger": task.pop("trigger")}
                    print(json.dumps(trigger), file=self._triggerer, flush=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"task {number}.json"


def _run_task(number: int, path: Path, *, deferrable: bool) -> NoReturn:
    """Be the process of a task: run it, and leave what became of it."""
    status = 1
    try:
        # Whatever happens to its parent, it ends.
        signal.alarm(PATIENCE)
        booked_at: list[float] = []
        _note_bookings(booked_at.append)
        ended = _execute(number, deferrable=deferrable)
        path.write_text(json.dumps({"booked_at": booked_at[0], **ended}))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _note_bookings(note: Callable[[float], None]) -> None:
    """Have the time noted whenever a request asks for its slot."""
    from airflow_provider_bitscale.api.limit.pacer import Pacer

    wait = Pacer.wait

    def noted(pacer: Pacer, *, patient: bool = True) -> None:
        note(time.time())
        wait(pacer, patient=patient)

    Pacer.wait = noted  # type: ignore[method-assign, assignment]


def _execute(number: int, *, deferrable: bool) -> dict[str, Any]:
    operator = RunGridOperator(
        task_id="enrich",
        grid_id=GRID_ID,
        inputs={"Full Name": person(number), "Company": "Analytical Engines"},
        deferrable=deferrable,
    )
    try:
        result = operator.execute(TaskRun(lambda: operator).context())
    except TaskDeferred as deferred:
        return {"trigger": cast("BaseTrigger", deferred.trigger).serialize()}
    return {"outcome": result["status"]}


def _deferred(worker_of: Callable[[IO[str]], Worker], first: int, rows: int) -> list[dict[str, Any]]:
    """Run tasks that defer, and wait for the events of their triggers."""
    with process(_TRIGGERER, os.environ) as triggerer:
        assert triggerer.stdin is not None
        assert triggerer.stdout is not None
        # It is up, and has imported what it needs.
        triggerer.stdout.readline()
        tasks = worker_of(triggerer.stdin).run(first, rows)
        triggerer.stdin.close()
        events = {event["number"]: event for event in json.loads(triggerer.stdout.readline())}
    return [{**task, **events[task["number"]]} for task in tasks]


def main() -> None:
    """Run tasks, and print what became of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("at_once", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first row")
    parser.add_argument("--deferrable", action="store_true")
    options = parser.parse_args()
    if options.deferrable:
        tasks = _deferred(
            lambda triggerer: Worker(options.folder, options.at_once, triggerer), options.first, options.rows
        )
    else:
        tasks = Worker(options.folder, options.at_once, None).run(options.first, options.rows)
    print(json.dumps(tasks))


if __name__ == "__main__":
    main()

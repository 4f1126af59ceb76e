"""`make demo`: a CSV of leads enriched by a real Airflow against a local BitScale, watched from outside."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from pathlib import Path

from tests.support.airflow_api import FINISHED, AirflowApi
from tests.tools.stage import DAG_ID, Stage, command_line, run, stage

# Long enough for a viewer to see the runs wait.
_RUN_SECONDS = (5.0, 9.0)
# Seconds in which no task gets on.
_PATIENCE = 120.0
_CELL = 42


def main() -> int:
    """Zero when the DAG has succeeded and its CSV is there."""
    contract = command_line("tests.tools.demo", __doc__).parse_args().contract
    began = time.monotonic()
    print(
        f"Starting a local BitScale ({contract}) and Airflow (API server, scheduler, dag processor, "
        "triggerer) ..."
    )
    with stage(contract=contract, run_seconds=_RUN_SECONDS) as scene:
        print(f"Ready after {time.monotonic() - began:.0f} s. Triggering {DAG_ID}.\n")
        before = _credits(scene)
        triggered = time.monotonic()
        run_id = scene.airflow.trigger(DAG_ID)
        state = _watch(scene, run_id)
        if state != "success":
            print(_failures(scene.airflow, run_id))
            return 1
        if not scene.enriched_csv.exists():
            raise RuntimeError(f"{DAG_ID} succeeded but wrote no {scene.enriched_csv.name}")
        print(f"\n{scene.enriched_csv.name}\n\n{_table(scene.enriched_csv)}\n")
        spent, paid = before - _credits(scene), scene.emulator.control.state()["runs_paid"]
        print(f"{paid} runs, {spent} credits spent ({before:,} before, {before - spent:,} after)")
        print(f"{time.monotonic() - triggered:.0f} s from trigger to file. Stopping ...", flush=True)
    print(
        f"Done in {time.monotonic() - began:.0f} s, nothing is left running.\n\n"
        "Next:\n"
        "  make airflow      the same in Airflow's UI, to click through\n"
        "  example_dags/     the DAG that just ran and its siblings\n"
        "  README.md         install it and connect your own BitScale account"
    )
    return 0


def _watch(scene: Stage, run_id: str) -> str:
    """Print a line whenever something has changed, until the run has ended; its final state."""
    began = changed = time.monotonic()
    shown: tuple[str, str] | None = None
    while time.monotonic() - changed < _PATIENCE:
        state = scene.airflow.run_state(DAG_ID, run_id)
        tasks = scene.airflow.task_instances(DAG_ID, run_id)
        waiting = sum(task["state"] == "deferred" for task in tasks)
        working = sum(task["state"] == "running" for task in tasks)
        paid = scene.emulator.control.state()["runs_paid"]
        now = (
            f"{paid} runs submitted, {waiting} waiting in the triggerer, {working} worker slots held",
            _progress([(task["task_id"], task["state"]) for task in tasks]),
        )
        if now != shown:
            print(f"{time.monotonic() - began:5.1f} s  {now[0]:<70}  {now[1]}".rstrip(), flush=True)
            shown, changed = now, time.monotonic()
        if state in FINISHED:
            return state
        time.sleep(0.4)
    states = scene.airflow.task_states(DAG_ID, run_id)
    raise TimeoutError(f"{DAG_ID} has not got on for {_PATIENCE:g} s, its tasks: {states}")


def _progress(tasks: list[tuple[str, str | None]]) -> str:
    """What is not over yet, mapped tasks counted: `enrich: 6 deferred, 2 success`."""
    by_task: dict[str, Counter[str]] = {}
    for task_id, state in tasks:
        if state is not None:
            by_task.setdefault(task_id, Counter())[state] += 1
    return "; ".join(
        f"{task_id}: " + ", ".join(f"{states[state]} {state}" for state in sorted(states))
        for task_id, states in by_task.items()
        if set(states) != {"success"}
    )


def _credits(scene: Stage) -> int:
    """What is left in the workspace that pays."""
    emulator = scene.emulator
    remaining: int = emulator.control.state()["credits"][emulator.workspace_id]["remaining"]
    return remaining


def _failures(airflow: AirflowApi, run_id: str) -> str:
    """The end of the logs of the first few tasks that failed themselves."""
    failed = [task for task in airflow.task_instances(DAG_ID, run_id) if task["state"] == "failed"]
    parts = [f"The run failed, {len(failed)} of its tasks themselves."]
    for task in failed[:3]:
        log = airflow.task_log(DAG_ID, run_id, task["task_id"], task["try_number"], task["map_index"])
        errors = [part for part in re.split(r"\n(?=\d{4}-\d\d-\d\dT)", log) if " error " in part]
        parts.append(f"--- {task['task_id']}\n" + "\n".join(errors[-3:] or [log[-2000:]]))
    return "\n".join(parts)


def _table(path: Path) -> str:
    """A CSV as aligned columns, wide cells cut."""
    with path.open(newline="") as file:
        rows = [[_cut(cell) for cell in row] for row in csv.reader(file)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cut(cell: str) -> str:
    return cell if len(cell) <= _CELL else f"{cell[: _CELL - 1]}…"


if __name__ == "__main__":
    run(main)

"""Writes what this version leaves behind: ``python -m tests.upgrade.write``. Once for each release.

Files of a version that is released are never written again: every later version must finish their runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger

from airflow_provider_bitscale import __version__
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from tests.support.batches import EMAIL, people
from tests.support.hooks import connect
from tests.support.receiver import URL
from tests.support.task_runs import BatchStore, Crash, MemoryStore, TaskRun
from tests.upgrade.kept import FOLDER, HERE, Kept, accepted_runs, files_below, made, one_base_url, with_folder

RUN = "airflow_provider_bitscale.operators.run_grid.RunGridOperator"
BATCH = "airflow_provider_bitscale.operators.run_grid_batch.RunGridBatchOperator"
ROW = {"grid_id": GRID_ID, "inputs": {"Full Name": "Ada Lovelace"}, "poll_interval": 0.1}
TABLE = {
    "grid_id": GRID_ID,
    "rows": people(12),
    "segment_size": 4,
    "output_columns": [EMAIL],
    "output_path": f"file://{FOLDER}/out",
}


class Writing:
    """One task instance, up to where it is left."""

    def __init__(self, emulator: Emulator, folder: Path, operator: str, arguments: dict[str, Any]) -> None:
        self.emulator, self.folder = emulator, folder
        self.operator, self.arguments = operator, arguments
        given = json.loads(json.dumps(arguments).replace(FOLDER, str(folder)))
        self.store = BatchStore() if operator == BATCH else MemoryStore()
        self.task = TaskRun(lambda: made(operator, given), self.store)
        self.xcom: Any = None
        self.trigger: tuple[str, dict[str, Any]] | None = None
        self.next_method: str | None = None

    def kept(self) -> Kept:
        """What is there now."""
        return Kept(
            operator=self.operator,
            arguments=self.arguments,
            written_at=time.time(),
            runs=accepted_runs(self.emulator),
            store={
                key: with_folder(json.loads(text), self.folder) for key, text in self.store.values.items()
            },
            files=files_below(self.folder),
            trigger=self.trigger,
            next_method=self.next_method,
            xcom=with_folder(self.xcom, self.folder),
            pushed=with_folder(self.task.pushed, self.folder),
        )


def crashed(task: Writing, **where: str) -> None:
    """Its process dies there."""
    vars(task.store).update(where)
    with suppress(Crash):
        task.task.attempt()


def deferred(task: Writing) -> None:
    """It waits in the triggerer."""
    task.task.tries += 1
    with pytest.raises(TaskDeferred) as raised:
        task.task.make().execute(task.task.context())
    assert isinstance(raised.value.trigger, BaseTrigger)
    task.trigger, task.next_method = raised.value.trigger.serialize(), raised.value.method_name


def finished(task: Writing) -> None:
    """It has succeeded."""
    task.xcom = task.task.attempt()


def killed_at(write: int) -> Callable[[Writing], None]:
    """Its process dies with this write to the store."""

    def leave(task: Writing) -> None:
        assert isinstance(task.store, BatchStore)
        task.store.last = write
        with suppress(Crash):
            task.task.attempt()

    return leave


LEFT: dict[str, tuple[str, dict[str, Any], Callable[[Writing], None]]] = {
    "run-intent": (RUN, ROW, lambda task: crashed(task, crash_after="intent")),
    "run-submitted": (RUN, {**ROW, "deferrable": False}, lambda task: crashed(task, crash_after="submitted")),
    "run-deferred": (RUN, {**ROW, "deferrable": True}, deferred),
    "run-deferred-told": (RUN, {**ROW, "deferrable": True, "webhook_url": URL}, deferred),
    "run-sync": (RUN, {**ROW, "mode": "sync"}, lambda task: crashed(task, crash_after="submitted")),
    "run-collected": (RUN, {**ROW, "deferrable": False}, finished),
    "run-handed-on": (RUN, {**ROW, "wait_for_completion": False, "webhook_url": URL}, finished),
    "batch-begun": (BATCH, TABLE, killed_at(4)),
    "batch-half-done": (BATCH, TABLE, killed_at(14)),
    "batch-collected": (BATCH, TABLE, finished),
}


def main() -> None:
    """Write the files of this version."""
    target = HERE / f"v{__version__}"
    target.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, Emulator(run_seconds=(0.05, 0.1)) as emulator:
        connect(patch, emulator)
        one_base_url(patch)
        for name, (operator, arguments, leave) in LEFT.items():
            emulator.control.reset()
            with TemporaryDirectory() as folder, TemporaryDirectory() as logs:
                patch.setenv("TMPDIR", logs)
                patch.setattr("airflow_provider_bitscale.batch.store.sent_log.gettempdir", lambda: logs)
                task = Writing(emulator, Path(folder), operator, arguments)
                leave(task)
                task.kept().save(target / f"{name}.json")
                print(f"{name}: {len(task.store.values)} keys, {len(accepted_runs(emulator))} runs")


if __name__ == "__main__":
    main()

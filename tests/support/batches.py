"""A batch as a task that is tried again and again, and what it has cost and come to."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api.config import V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID
from airflow_provider_bitscale.exceptions import IncompleteBatchError
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from tests.support.task_runs import BatchStore, Crash, TaskRun

# What is decided behind the wire is the same under every contract, and is seen under one.
ONE_CONTRACT = pytest.mark.parametrize("contract", [V1_1_0])
EMAIL = "Enriched Email"


def people(count: int) -> list[dict[str, Any]]:
    """Rows with a name of their own each, and a field that is no input."""
    return [{"id": number, "Full Name": f"Person {number}", "Company": "Acme"} for number in range(count)]


class Batch(TaskRun):
    """A task whose arguments may be changed between tries."""

    store: BatchStore

    def __init__(self, **arguments: Any) -> None:
        self.arguments: dict[str, Any] = {"output_columns": [EMAIL], **arguments}
        self.operator: RunGridBatchOperator | None = None
        super().__init__(self._make, BatchStore())

    def _make(self) -> RunGridBatchOperator:
        self.operator = RunGridBatchOperator(task_id="enrich", grid_id=GRID_ID, **self.arguments)
        return self.operator

    def crash(self, write: int, *, keeps_last: bool = True) -> None:
        """One try that is killed with that write to the store, counted from 1."""
        self.store.last, self.store.keeps_last = write, keeps_last
        with pytest.raises(Crash):
            self.attempt()
        self.store.last = None

    def incomplete(self, kind: type[Exception] = IncompleteBatchError) -> dict[str, Any]:
        """The manifest of one try that fails because rows are missing."""
        with pytest.raises(kind):
            self.attempt()
        manifest: dict[str, Any] = self.pushed["manifest"]
        return manifest

    def move(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Later tries are on another machine, and what an earlier one may still leave comes at once."""
        folder.mkdir()
        monkeypatch.setattr("airflow_provider_bitscale.batch.store.sent_log.gettempdir", lambda: str(folder))
        monkeypatch.setattr("airflow_provider_bitscale.batch.store.takeover.LAST_ANSWERS_SECONDS", 0.0)

    @property
    def entries(self) -> list[str | None]:
        """The journal's entries of all rows of unfinished segments, as the store has them now."""
        values = [json.loads(self.store.values[key]) for key in sorted(self.store.values)]
        return [entry for value in values for entry in value.get("entries", ())]


def names_paid(emulator: Emulator) -> Counter[str]:
    """How many runs were accepted for each name."""
    return Counter(run["inputs"][FULL_NAME] for run in emulator.control.state()["runs"])


def written(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows of a batch, in the order of the input."""
    if "results" in manifest:
        return list(manifest["results"])
    rows: list[dict[str, Any]] = []
    for part in manifest["parts"]:
        text = Path(part.removeprefix("file://")).read_text(encoding="utf-8")
        if manifest["format"] == "csv":
            rows += csv.DictReader(text.splitlines())
        else:
            rows += map(json.loads, text.splitlines())
    return rows


def statuses(manifest: dict[str, Any]) -> Counter[str]:
    """How many rows were written with each status."""
    counts = Counter(row["_status"] for row in written(manifest))
    assert counts == {status: count for status, count in manifest["counts"].items() if count}
    return counts

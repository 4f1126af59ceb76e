"""What templates came to, and file URIs, in each argument: refused before anything is paid for, or read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api.config import WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator
from airflow_provider_bitscale.sensors.credits import CreditsSensor
from tests.support.batches import Batch, people, written
from tests.support.clients import posted_bodies
from tests.support.task_runs import BatchStore, TaskRun

TEMPLATE = "{{ dag_run.conf.get('x') }}"


def batch_with(argument: str, value: Any) -> TaskRun:
    """A batch whose argument was a template that Airflow has rendered to the value."""

    def make() -> RunGridBatchOperator:
        rows: dict[str, Any] = {"rows": people(2)}
        if argument in ("rows_path", "retry_failed_from", "collect_unknown_from"):
            rows = {}
        operator = RunGridBatchOperator(
            **{"task_id": "enrich", "grid_id": "grid_001", **rows, argument: TEMPLATE}
        )
        setattr(operator, argument, value)
        return operator

    return TaskRun(make, BatchStore())


PATHS = ("rows_path", "retry_failed_from", "collect_unknown_from", "output_path")
RENDERED = [
    *((path, value) for path in PATHS for value in (None, "None", "", " ", "nan", "s3://bucket/None")),
    ("output_path", "out/leads"),
    *(("max_credits", value) for value in (None, "None", "", "nan", "inf", 10**400, "-1")),
    *(("grid_id", value) for value in (None, "None", "")),
    *(("bitscale_conn_id", value) for value in (None, "None")),
    *(("webhook_url", value) for value in (None, "None", "")),
    *(("output_columns", value) for value in (None, "None", "")),
    *(("rows", value) for value in (None, "None", "")),
]


@pytest.mark.parametrize(("argument", "value"), RENDERED)
def test_a_template_that_came_to_nothing_is_refused_before_anything_is_paid_for(
    argument: str, value: Any, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    batch = batch_with(argument, value)
    with pytest.raises(api.InvalidRequestError, match=argument):
        batch.attempt()
    assert posted_bodies(emulator) == []
    assert (batch.store.values, list(tmp_path.iterdir())) == ({}, [])


def test_an_argument_that_was_left_out_may_be_none(emulator: Emulator) -> None:
    assert Batch(rows=people(1), max_credits=None, output_path=None).attempt()["rows"] == 1


def test_every_path_of_a_batch_takes_a_file_uri(emulator: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "My Leads 50%25 Jané"
    folder.mkdir()
    leads = folder / "leads.jsonl"
    leads.write_text("".join(json.dumps(row) + "\n" for row in people(3)))
    first = Batch(rows_path=leads.as_uri(), output_path=(folder / "out").as_uri(), max_credits=11).attempt()
    assert (first["counts"]["succeeded"], first["counts"]["not_submitted"]) == (1, 2)
    assert {path.parent for path in folder.rglob("*-manifest.json")} == {folder / "out"}
    assert len(written(first)) == 3, "its parts are found as the manifest names them"
    # What a task returned, and what a person copies from a file manager.
    for manifest in (first["manifest_path"], next((folder / "out").glob("*-manifest.json")).as_uri()):
        assert Batch(retry_failed_from=manifest).attempt()["counts"]["succeeded"] == 2
        assert Batch(collect_unknown_from=manifest).attempt()["rows"] == 0


def one_row(value: Any, **options: Any) -> TaskRun:
    """A run whose optional input was a template that Airflow has rendered to the value."""

    def make() -> RunGridOperator:
        inputs = {"Full Name": "Ada", "Company": TEMPLATE}
        operator = RunGridOperator(
            task_id="enrich",
            grid_id="grid_001",
            inputs=inputs,
            deferrable=False,
            poll_interval=0.05,
            **options,
        )
        operator.inputs = {**inputs, "Company": value}
        return operator

    return TaskRun(make)


@pytest.mark.parametrize("contract", [WORKSPACE_KEY])
def test_an_input_that_came_to_none_is_refused_where_no_grid_tells_what_is_required(
    emulator: Emulator,
) -> None:
    with pytest.raises(api.InvalidRequestError, match="'Company' came to 'None'"):
        one_row("None").attempt()
    assert posted_bodies(emulator) == []


@pytest.mark.parametrize(
    ("value", "options", "told"),
    [
        ("", {}, "the input 'Company' is ''"),
        ("None", {"validate_inputs": False}, "the input 'Company' came to 'None'"),
        ("Null & Sons", {}, None),
    ],
)
def test_an_input_that_may_be_meant_is_told(
    value: str,
    options: dict[str, Any],
    told: str | None,
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one_row(value, **options).attempt()
    assert ("Is it meant that" in caplog.text) == (told is not None)
    assert told is None or f"Is it meant that {told}?" in caplog.text
    assert len(posted_bodies(emulator)) == 1


def test_a_workspace_that_came_to_none_is_not_the_one_of_the_connection(emulator: Emulator) -> None:
    def make() -> CreditsSensor:
        sensor = CreditsSensor(task_id="wait", min_credits=1, workspace_id=TEMPLATE, deferrable=False)
        sensor.workspace_id = None
        return sensor

    with pytest.raises(api.InvalidRequestError, match="workspace_id came to None"):
        TaskRun(make).attempt()
    assert emulator.control.requests() == []


def test_a_subclass_may_add_a_template_field(emulator: Emulator) -> None:
    class Tagged(RunGridOperator):
        template_fields = (*RunGridOperator.template_fields, "tag")

        def __init__(self, *, tag: str, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.tag = tag

    def make() -> RunGridOperator:
        row = {"Full Name": "Ada"}
        return Tagged(task_id="enrich", grid_id="grid_001", inputs=row, tag="x", deferrable=False)

    assert TaskRun(make, BatchStore()).attempt()["status"] == "completed"

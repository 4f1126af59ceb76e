"""Commands that look: check, credits, grids, columns."""

from __future__ import annotations

import ast
import json

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.utils import yaml

from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from tests.cli.conftest import Bitscale
from tests.support.task_runs import TaskRun

FORMATS = ("table", "plain", "json", "yaml")
DOCUMENTED = pytest.mark.parametrize("contract", [V1_1_0])


def test_check_says_what_the_test_button_says(bitscale: Bitscale, emulator: Emulator) -> None:
    is_good, message = BitScaleHook().test_connection()
    assert is_good
    done = bitscale("check")
    assert (done.code, done.out, done.err) == (0, f"{message}\n", "")
    assert json.loads(bitscale("check", "-o", "json").out) == {
        "conn_id": "bitscale_default",
        "message": message,
    }


def test_check_says_no_as_the_test_button_does(
    bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {**emulator.connection(), "password": "sk-live-no-such-key-0123456789"}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))
    is_good, message = BitScaleHook().test_connection()
    assert not is_good
    done = bitscale("check", "-o", "json")
    assert (done.code, done.out, done.err) == (1, "", f"error: connection 'bitscale_default': {message}\n")


def test_credits_are_those_of_the_workspace(bitscale: Bitscale, emulator: Emulator) -> None:
    credits = json.loads(bitscale("credits", "--output", "json").out)
    assert credits == BitScaleHook().get_credits().to_json()
    assert credits["remaining"] == 65_800
    assert ["remaining", "65800"] in [
        line.split() for line in bitscale("credits", "-o", "plain").out.splitlines()
    ]


def test_grids_are_listed_and_searched(bitscale: Bitscale, emulator: Emulator) -> None:
    grids = json.loads(bitscale("grids", "-o", "json").out)
    assert (grids[0]["id"], grids[0]["name"]) == ("grid_001", "Lead Enrichment — Q1")
    [found] = json.loads(bitscale("grids", "--search", "RESEARCH", "-o", "json").out)
    assert found["name"] == "Account Research"
    none = bitscale("grids", "--search", "no such grid")
    assert (none.code, none.out) == (0, "No data found\n")
    assert json.loads(bitscale("grids", "--search", "no such grid", "-o", "json").out) == []


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("command", [("credits",), ("grids",), ("columns", "grid_001")])
def test_every_format_has_what_the_others_have(
    output: str, command: tuple[str, ...], bitscale: Bitscale, emulator: Emulator
) -> None:
    records = json.loads(bitscale(*command, "-o", "json").out)
    done = bitscale(*command, "-o", output)
    assert (done.code, done.err) == (0, "")
    if output == "yaml":
        assert yaml.safe_load(done.out) == records
    for record in [records] if isinstance(records, dict) else records:
        for value in record.values():
            assert value is None or output in ("json", "yaml") or str(value) in done.out


@DOCUMENTED
def test_columns_tell_what_a_grid_takes_and_gives(bitscale: Bitscale, emulator: Emulator) -> None:
    columns = {
        column["name"]: column for column in json.loads(bitscale("columns", "grid_001", "-o", "json").out)
    }
    assert {name for name, column in columns.items() if column["required"]} == {"Full Name"}
    assert columns["Employees"] == {
        "name": "Employees",
        "id": "5d1e8a90-3c2f-4b76-9e01-a7b8c9d0e1f2",
        "type": "number",
        "input": True,
        "output": False,
        "required": False,
    }
    assert columns["Enriched Email"]["output"]


@pytest.mark.parametrize("contract", [WORKSPACE_KEY])
def test_with_a_workspace_key_inputs_are_those_of_the_run_recipe(
    bitscale: Bitscale, emulator: Emulator
) -> None:
    columns = json.loads(bitscale("columns", "grid_001", "-o", "json").out)
    labels = BitScaleHook().get_run_recipe("grid_001").inputs
    assert [column["name"] for column in columns if column["input"]] == list(labels)
    assert {column["required"] for column in columns} == {None}
    assert "Enriched Email" in [column["name"] for column in columns if column["output"]]


def test_below_a_table_of_columns_are_arguments_that_a_task_takes_and_does_not_pay_for(
    bitscale: Bitscale, emulator: Emulator
) -> None:
    out = bitscale("columns", "grid_001").out
    pasted = ast.parse(f"dict({out[out.index('grid_id=') :]})", mode="eval").body
    assert isinstance(pasted, ast.Call)
    arguments = {str(word.arg): ast.literal_eval(word.value) for word in pasted.keywords}
    task = RunGridOperator(task_id="enrich", **arguments)
    assert set(arguments) == {"grid_id", "inputs", "output_columns"}
    with pytest.raises(AirflowFailException, match=r"no input has a value|required input"):
        TaskRun(lambda: task).attempt()
    assert emulator.control.state()["runs_paid"] == 0


def test_a_grid_that_is_not_there_is_told_in_one_line(bitscale: Bitscale, emulator: Emulator) -> None:
    done = bitscale("columns", "grid_none")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(
        "error: connection 'bitscale_default': GET /grids/grid_none: 404 GRID_NOT_FOUND"
    )

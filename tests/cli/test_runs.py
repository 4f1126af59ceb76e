"""Commands that run a grid on one row: checked, paid for only when told to, and never lost."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from airflow_provider_bitscale.api.config import V1_1_0, WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import EMPLOYEES, ENRICHED_EMAIL, FULL_NAME
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.cli.conftest import Bitscale, Done

ADA = ("run", "grid_001", "--input", "Full Name=Ada Lovelace", "--input", "Company=Engines = Co")
DOCUMENTED = pytest.mark.parametrize("contract", [V1_1_0])


def paid(emulator: Emulator) -> int:
    count: int = emulator.control.state()["runs_paid"]
    return count


def result_of(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_run_is_checked_and_shown_and_not_sent_without_yes(bitscale: Bitscale, emulator: Emulator) -> None:
    done = bitscale(*ADA, "--output-column", "Enriched Email", "-o", "json")
    shown = result_of(done)
    assert shown["request"] == "POST /grids/grid_001/run"
    assert list(shown["inputs"].values()) == ["Ada Lovelace", "Engines = Co"]
    assert shown["output_columns"] == ["Enriched Email"]
    assert "Nothing was sent" in done.err
    assert paid(emulator) == 0
    assert not [request for request in emulator.control.requests() if request["method"] == "POST"]


def test_what_is_shown_is_what_is_sent(bitscale: Bitscale, emulator: Emulator) -> None:
    shown = result_of(bitscale(*ADA, "--output-column", "Enriched Email", "-o", "json"))
    result_of(bitscale(*ADA, "--output-column", "Enriched Email", "-o", "json", "--yes"))
    [sent] = [request for request in emulator.control.requests() if request["method"] == "POST"]
    assert f"{sent['method']} {sent['path'].removeprefix('/api/v1')}" == shown["request"]
    [run] = emulator.control.state()["runs"]
    assert list(run["inputs"].values()) == list(shown["body"]["inputs"].values())
    assert shown["body"]["output_columns"] == [ENRICHED_EMAIL]


def test_with_yes_the_id_is_told_at_once_and_how_to_get_the_run_later(
    bitscale: Bitscale, emulator: Emulator
) -> None:
    done = bitscale(*ADA, "--yes", "-o", "json")
    submitted = result_of(done)
    assert submitted == {"run_id": submitted["run_id"], "grid_id": "grid_001", "status": submitted["status"]}
    assert paid(emulator) == 1
    command = re.search(r"airflow bitscale (.*)", done.err)
    assert command is not None
    found = result_of(bitscale(*shlex.split(command[1]), "--wait", "-o", "json"))
    assert (found["run_id"], found["status"]) == (submitted["run_id"], "completed")
    assert found["outputs"]["Enriched Email"].startswith("a")
    assert paid(emulator) == 1


def test_with_wait_the_result_is_what_a_task_returns(bitscale: Bitscale, emulator: Emulator) -> None:
    found = result_of(bitscale(*ADA, "--yes", "--wait", "-o", "json"))
    assert found["status"] == "completed"
    assert {"Enriched Email", "LinkedIn URL"} <= set(found["outputs"])
    assert found["missed_columns"] == 0
    table = bitscale("get-run", "grid_001", found["run_id"]).out
    assert re.search(r"^outputs\.Enriched Email +\| a", table, re.MULTILINE)


def test_the_way_back_names_another_connection(
    bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    done = bitscale(*ADA, "--yes", "--conn-id", "other")
    assert re.search(r"get-run grid_001 \S+ --conn-id other$", done.err)


@pytest.mark.parametrize(
    "inputs",
    [["Nmae=Ada"], ["Full Name=  ", "Company="], ["Full Name=Ada", "Full Name =Ada"], []],
    ids=["no such column", "blank", "twice", "none"],
)
def test_what_a_task_would_refuse_is_refused(
    inputs: list[str], bitscale: Bitscale, emulator: Emulator
) -> None:
    done = bitscale("run", "grid_001", *(f"--input={text}" for text in inputs), "--yes")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert paid(emulator) == 0


@DOCUMENTED
def test_every_problem_is_named_at_once(bitscale: Bitscale, emulator: Emulator) -> None:
    done = bitscale("run", "grid_001", "-i", "Employees=many", "-i", "Website=acme", "--yes")
    assert done.code == 1
    for problem in ("'Employees' takes a number", "'Website' takes an http(s) URL", "'Full Name' is missing"):
        assert problem in done.err
    wrong_output = bitscale(*ADA, "--output-column", "Email", "--yes")
    assert wrong_output.code == 1
    assert "did you mean" in wrong_output.err
    assert paid(emulator) == 0


@DOCUMENTED
def test_a_text_is_read_for_the_type_of_its_column(bitscale: Bitscale, emulator: Emulator) -> None:
    given = ("run", "grid_001", "-i", "Full Name=12", "-i", "Employees=12", "-i", "Is Customer=yes")
    shown = result_of(bitscale(*given, "-o", "json"))
    assert shown["inputs"] == {"Full Name": "12", "Employees": 12, "Is Customer": True}
    assert shown["body"]["inputs"][EMPLOYEES] == 12
    assert shown["body"]["inputs"][FULL_NAME] == "12"


@pytest.mark.parametrize("contract", [WORKSPACE_KEY])
def test_inputs_without_a_value_are_told_where_it_is_not_known_whether_they_are_required(
    bitscale: Bitscale, emulator: Emulator
) -> None:
    done = bitscale("run", "grid_001", "-i", "Full Name=Ada", "-i", "Company=")
    assert done.code == 0
    assert "This row has no value for company, which the grid's columns use." in done.err


def test_an_input_that_is_given_twice_is_a_wrong_command_line(bitscale: Bitscale, emulator: Emulator) -> None:
    done = bitscale(*ADA, "-i", "Company=Other", "--yes")
    assert (done.code, done.err) == (2, "error: --input 'Company' is given twice\n")
    assert paid(emulator) == 0


def test_a_submission_whose_answer_is_lost_is_not_repeated(bitscale: Bitscale, emulator: Emulator) -> None:
    emulator.control.add_fault("lost_answer", on="run_grid")
    done = bitscale(*ADA, "--yes", "--wait")
    assert (done.code, done.out) == (1, "")
    assert "look for the row in BitScale before you run it again" in done.err
    assert paid(emulator) == 1


def test_a_run_that_failed_is_shown_and_told_by_the_exit_code(bitscale: Bitscale, emulator: Emulator) -> None:
    emulator.control.add_fault("run_fails", message="the source is gone")
    done = bitscale(*ADA, "--yes", "--wait", "-o", "json")
    assert done.code == 1
    assert json.loads(done.out)["status"] == "failed"
    assert re.search(r"^error: run .* failed: .*the source is gone$", done.err, re.MULTILINE)
    assert bitscale("get-run", "grid_001", json.loads(done.out)["run_id"]).code == 1


def test_who_stops_waiting_is_told_how_to_get_the_run_later(
    bitscale: Bitscale, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BitScaleHook, "watch_run", interrupted)
    done = bitscale(*ADA, "--yes", "--wait")
    assert done.code == 130
    submitted, told = done.err.splitlines()
    run_id = emulator.control.state()["runs"][0]["run_id"]
    assert "BitScale cannot cancel run" in told
    assert f"airflow bitscale get-run grid_001 {run_id}" in told
    assert f"airflow bitscale get-run grid_001 {run_id}" in submitted


def test_a_run_that_takes_longer_than_the_wait_is_not_lost(bitscale: Bitscale, emulator: Emulator) -> None:
    emulator.control.add_fault("run_never_ends")
    done = bitscale(*ADA, "--yes", "--wait", "--timeout", "0.5")
    assert done.code == 1
    assert bitscale("get-run", "grid_001", "run_none", "--wait").err.count("get-run") == 0
    assert re.search(r"at the deadline; .*airflow bitscale get-run grid_001 ", done.err)

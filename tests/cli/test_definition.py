"""The command line itself: found by Airflow, light, and its help as it was written."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from airflow.cli.cli_config import ActionCommand, Arg
from airflow.cli.cli_parser import get_parser

from airflow_provider_bitscale import get_provider_info
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.cli import definition
from airflow_provider_bitscale.cli.definition import get_bitscale_commands
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.cli.conftest import Bitscale

[GROUP] = get_bitscale_commands()
COMMANDS: dict[str, ActionCommand] = {
    command.name: command for command in GROUP.subcommands if isinstance(command, ActionCommand)
}
LOCAL = {"demo", "emulator"}


def options(command: ActionCommand) -> Iterator[Arg]:
    return (arg for arg in command.args if arg.kwargs.get("nargs") != argparse.REMAINDER)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_these_are_the_commands() -> None:
    assert set(COMMANDS) == {"check", "credits", "grids", "columns", "run", "get-run", *LOCAL}


def test_airflow_finds_them_by_the_provider_info() -> None:
    assert get_provider_info()["cli"] == ["airflow_provider_bitscale.cli.definition.get_bitscale_commands"]
    args = get_parser().parse_args(["bitscale", "columns", "grid_001"])
    assert (args.grid_id, args.conn_id, args.output) == ("grid_001", "bitscale_default", "table")


def test_the_help_of_the_group_lists_each_command(bitscale: Bitscale) -> None:
    done = bitscale("--help")
    assert done.code == 0
    for command in COMMANDS.values():
        assert f"{command.name} {command.help}" in words(done.out)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"emulator"}))
def test_the_help_of_a_command_is_shown_as_it_was_written(name: str, bitscale: Bitscale) -> None:
    done, command = bitscale(name, "--help"), COMMANDS[name]
    assert done.code == 0
    assert words(command.description or command.help) in words(done.out)
    for arg in options(command):
        assert words(arg.kwargs["help"]) in words(done.out), arg.flags
        assert arg.flags[-1] in done.out or arg.kwargs["metavar"] in done.out


def test_the_emulator_answers_a_request_for_help_itself(bitscale: Bitscale) -> None:
    done = bitscale("emulator", "--help")
    assert done.code == 0
    assert "usage: airflow bitscale emulator" in done.out
    assert "--run-seconds LOW HIGH" in done.out


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - LOCAL))
def test_commands_that_use_a_connection_take_its_id_and_a_format(name: str) -> None:
    flags = {flag for arg in COMMANDS[name].args for flag in arg.flags}
    assert {"--conn-id", "--output"} <= flags


def test_values_stand_twice_so_that_the_command_line_need_not_load_the_rest() -> None:
    assert tuple(API_CONTRACTS) == definition.CONTRACTS
    assert BitScaleHook.default_conn_name == definition.DEFAULT_CONN_ID


def loaded_with(statement: str, before: str) -> set[str]:
    program = f"""
import sys
{before}
known = set(sys.modules)
{statement}
print(*sorted(set(sys.modules) - known))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_provider_info_loads_none_of_it() -> None:
    loaded = loaded_with("import airflow_provider_bitscale as p; p.get_provider_info()", "")
    ours = {name for name in loaded if name.startswith("airflow_provider_bitscale.")}
    assert ours == {"airflow_provider_bitscale.provider_info"}
    assert "airflow" not in loaded


def test_airflow_loads_the_definition_and_nothing_else_with_every_command_of_its_own() -> None:
    # Airflow has read the provider info before.
    before = "import airflow.cli.cli_config, airflow_provider_bitscale"
    statement = "from airflow_provider_bitscale.cli import definition; definition.get_bitscale_commands()"
    loaded = loaded_with(statement, before)
    assert loaded == {"airflow_provider_bitscale.cli", "airflow_provider_bitscale.cli.definition"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("grid",), "invalid choice: 'grid'"),
        (("columns",), "the following arguments are required: GRID"),
        (("check", "--output", "xml"), "invalid choice: 'xml'"),
        (("run", "grid_001", "--input", "Full Name"), "'Full Name' is not NAME=VALUE"),
        (("run", "grid_001", "--input", "=Ada"), "'=Ada' is not NAME=VALUE"),
        (
            ("get-run", "grid_001", "run_1", "--wait", "--timeout", "0"),
            "'0' is not a number of seconds above 0",
        ),
        (("get-run", "grid_001", "run_1", "--wait", "--timeout", "nan"), "'nan' is not a number of seconds"),
        (
            ("get-run", "grid_001", "run_1", "--wait", "--timeout", "soon"),
            "'soon' is not a number of seconds",
        ),
        (("demo", "--contract", "v2"), "invalid choice: 'v2'"),
        (("emulator", "--no-such-option"), "unrecognized arguments: --no-such-option"),
    ],
)
def test_a_wrong_command_line_is_told_by_exit_code_2(
    arguments: tuple[str, ...], says: str, bitscale: Bitscale
) -> None:
    done = bitscale(*arguments)
    assert done.code == 2
    assert says in done.err

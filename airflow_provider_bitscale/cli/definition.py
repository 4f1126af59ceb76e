"""Names, arguments and help of the commands. Airflow loads this module whenever it is called.

Help is rendered by rich: a bracket in it would be taken for markup.
"""

from __future__ import annotations

import argparse

from airflow.cli.cli_config import ARG_OUTPUT, ActionCommand, Arg, GroupCommand, lazy_load_command

_PACKAGE = "airflow_provider_bitscale.cli"
# As the hook has it.
DEFAULT_CONN_ID = "bitscale_default"
CONTRACTS = ("v1.1.0", "workspace-key")


class _AnotherCommandLine(Arg):
    """All that follows, options and a request for help included, for a parser of its own."""

    def __init__(self, name: str, help: str) -> None:
        super().__init__((name,), nargs=argparse.REMAINDER, help=help)  # type: ignore[no-untyped-call]

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add it; no option is known from here on."""
        parser.prefix_chars = ""
        super().add_to_parser(parser)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _input(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as 'Full Name=Ada Lovelace'")
    return name, value


_CONN_ID = Arg(
    ("--conn-id",), default=DEFAULT_CONN_ID, help=f"Id of the Airflow connection (default: {DEFAULT_CONN_ID})"
)
_GRID = Arg(
    ("grid_id",), metavar="GRID", help="Id of the grid: the last part of its address in BitScale's app"
)
_RUN = Arg(("run_id",), metavar="RUN", help="Id of the run")
_SEARCH = Arg(("--search",), metavar="TEXT", help="Only grids with this in their name, in any case")
_INPUT = Arg(
    ("-i", "--input"),
    dest="inputs",
    metavar="NAME=VALUE",
    action="append",
    default=[],
    type=_input,
    help="The value of an input, by the name or id of its column; once for each input",
)
_OUTPUT_COLUMN = Arg(
    ("--output-column",),
    dest="output_columns",
    metavar="NAME",
    action="append",
    help="Name or id of a column wanted, once for each; without it all columns",
)
_YES = Arg(("--yes",), action="store_true", help="Submit the run, and pay for it")
_WAIT = Arg(("--wait",), action="store_true", help="Wait until the run has ended")
_TIMEOUT = Arg(
    ("--timeout",),
    metavar="SECONDS",
    type=_seconds,
    default=3600.0,
    help="How long to wait; the run may go on (default: 3600)",
)
_CONTRACT = Arg(
    ("--contract",),
    choices=CONTRACTS,
    default=CONTRACTS[0],
    help="Contract of the API that the local BitScale serves (default: v1.1.0)",
)
_FOLDER = Arg(
    ("--folder",), metavar="PATH", help="Where to write the results (default: a new temporary folder)"
)
_ARGUMENTS = _AnotherCommandLine("arguments", "Options of the local BitScale")


def _command(
    name: str, function: str, help: str, *args: Arg, description: str | None = None
) -> ActionCommand:
    return ActionCommand(
        name=name,
        help=help,
        description=description,
        func=lazy_load_command(f"{_PACKAGE}.{function}"),
        args=args,
    )


def get_bitscale_commands() -> list[GroupCommand]:
    """Return the commands, as Airflow asks every provider for them."""
    account = (_CONN_ID, ARG_OUTPUT)
    commands = [
        _command(
            "check",
            "account.check",
            "Check a connection, as the Test button does",
            *account,
            description="Check a connection. It costs no credits, and says what the Test button of the "
            "connection's form says, also where Airflow's test_connection is off.",
        ),
        _command("credits", "account.credits", "Show the credits of the workspace", *account),
        _command("grids", "account.grids", "List the grids of the workspace", _SEARCH, *account),
        _command(
            "columns",
            "account.columns",
            "List what a grid takes and gives",
            _GRID,
            *account,
            description="List the columns of a grid. Below a table are arguments for a task, to be filled "
            "in: an input that is left blank is refused if it is required, and left out if not.",
        ),
        _command(
            "run",
            "runs.run",
            "Check one row and, with --yes, run a grid on it",
            _GRID,
            _INPUT,
            _OUTPUT_COLUMN,
            _YES,
            _WAIT,
            _TIMEOUT,
            *account,
            description="Check the inputs of one row against the grid and print the request. Nothing is sent "
            "or paid for without --yes.",
        ),
        _command(
            "get-run",
            "runs.get_run",
            "Show a run and what it found",
            _GRID,
            _RUN,
            _WAIT,
            _TIMEOUT,
            *account,
        ),
        _command(
            "demo",
            "local.demo",
            "Enrich a small file with a local BitScale, for nothing",
            _CONTRACT,
            _FOLDER,
            ARG_OUTPUT,
            description="Start a local BitScale in this process, enrich the rows of a small CSV file with "
            "RunGridBatchOperator, and stop. It needs no account and no database.",
        ),
        _command(
            "emulator",
            "local.emulator",
            "Serve a local BitScale until it is interrupted",
            _ARGUMENTS,
        ),
    ]
    return [GroupCommand(name="bitscale", help="Work with BitScale", subcommands=commands)]

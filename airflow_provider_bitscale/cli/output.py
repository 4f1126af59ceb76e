"""Prints what commands show, by Airflow's own console."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.cli.simple_table import AirflowConsole

from airflow_provider_bitscale.cli.records import aligned, cell, fields_of

# Where no terminal ends a line.
_ENDLESS = 1_000_000


def print_list(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print records of the same fields.

    :param output: table, plain, json or yaml; values keep their type in the latter two.
    """
    if _print_data(list(map(dict, rows)), output):
        return
    cells = [{name: cell(row[name]) for name in row} for row in rows]
    if output == "plain" and cells:
        # Airflow's own reads each text that looks like a number as one, ids included.
        print(aligned(cells))
    else:
        _console().print_as(cells, output)


def print_record(record: Mapping[str, Any], output: str) -> None:
    """Print one record: in a table, a row for each of its values."""
    if not _print_data(dict(record), output):
        print_list(fields_of(record), output)


def _print_data(data: Any, output: str) -> bool:
    if output == "json":
        _console().print_as_json(data)
    elif output == "yaml":
        _console().print_as_yaml(data)
    else:
        return False
    return True


def _console() -> AirflowConsole:
    # What BitScale names things is no markup.
    console = AirflowConsole(file=sys.stdout, markup=False, emoji=False, highlight=False)
    if not sys.stdout.isatty():
        console.width = _ENDLESS
    return console

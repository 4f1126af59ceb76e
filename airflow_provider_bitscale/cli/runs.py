"""Commands that run a grid on one row, and that show a run."""

from __future__ import annotations

import shlex
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.cli.definition import DEFAULT_CONN_ID
from airflow_provider_bitscale.cli.frame import INTERRUPTED, USAGE, CommandError, command, hook_of, note
from airflow_provider_bitscale.cli.output import print_record
from airflow_provider_bitscale.cli.records import request_record, run_record

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.call import Call
    from airflow_provider_bitscale.api.models import Grid, Run
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
    from airflow_provider_bitscale.runs.grid_schema import GridSchema

_POLL_INTERVAL = 2.0
_LOOK_FIRST = "look for the row in BitScale before you run it again"


@command
def run(args: Namespace) -> None:
    """Print the request for a row that has been checked; with ``--yes``, send it."""
    values = _values(args.inputs)
    hook = hook_of(args.conn_id)
    call, schema = _checked(hook, args, values)
    if not args.yes:
        print_record(request_record(call.label, call.body, schema.grid, schema.recipe), args.output)
        note("Nothing was sent, and nothing is paid for. With --yes it is sent, and costs credits.")
        return
    submitted = _submit(hook, call)
    run_id = submitted.run_id or ""
    with _way_back_told(args, run_id):
        note(f"Submitted run {run_id} of grid {args.grid_id}. To get it later: {_way_back(args, run_id)}")
        _show(_ended(hook, args, run_id) if args.wait else submitted, schema.grid, run_id, args.output)


@command
def get_run(args: Namespace) -> None:
    """Show a run, ended or not."""
    from airflow_provider_bitscale.exceptions import airflow_errors
    from airflow_provider_bitscale.runs.grid_cache import GridForm

    hook = hook_of(args.conn_id)
    with airflow_errors(args.conn_id):
        grid = GridForm.fetch(hook.client, args.grid_id).grid
    with _way_back_told(args, args.run_id):
        # An id that is wrong is told at once; of a run just submitted, that it is unknown is not believed.
        found = hook.get_run(args.grid_id, args.run_id)
        if args.wait and not found.status.is_terminal:
            found = _ended(hook, args, args.run_id)
        _show(found, grid, args.run_id, args.output)


def _values(inputs: list[tuple[str, str]]) -> dict[str, str]:
    values = dict(inputs)
    if len(values) < len(inputs):
        names = [name for name, _ in inputs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CommandError(f"--input {twice!r} is given twice", USAGE)
    return values


def _checked(hook: BitScaleHook, args: Namespace, values: dict[str, str]) -> tuple[Call[Run], GridSchema]:
    """Return the request for a row, and the schema it was checked against. Costs no credits.

    :raises BitScaleError: naming everything that is wrong with the row.
    """
    from airflow_provider_bitscale.api.errors import InvalidRequestError
    from airflow_provider_bitscale.batch.table.coercion import converter_of
    from airflow_provider_bitscale.exceptions import airflow_errors
    from airflow_provider_bitscale.runs.grid_schema import GridSchema

    with airflow_errors(args.conn_id):
        schema = GridSchema.fetch(hook.client, args.grid_id, args.output_columns, validate=True, anew=True)
        columns = schema.names(values).columns
        # A command line has texts only, as has a CSV file.
        row: dict[str, Any] = {name: converter_of(columns.get(name))(values[name]) for name in values}
        inputs = schema.inputs_of(row)
        refused, told = schema.without_value(row, (), inputs)
        if refused:
            raise InvalidRequestError("; ".join(refused))
        for problem in told:
            note(f"Is it meant that {problem}?")
        if unfilled := schema.unfilled(inputs):
            note(f"This row has no value for {', '.join(unfilled)}, which the grid's columns use.")
        call = hook.client.contract.run_grid(
            args.grid_id,
            inputs,
            mode="async",
            output_columns=schema.output_columns,
            recipe=schema.recipe,
        )
    return call, schema


def _submit(hook: BitScaleHook, call: Call[Run]) -> Run:
    """Send the request. Costs credits."""
    from airflow_provider_bitscale.api.errors import AmbiguousSubmitError
    from airflow_provider_bitscale.exceptions import airflow_errors

    try:
        with airflow_errors(hook.bitscale_conn_id):
            return hook.client.send(call)
    except AmbiguousSubmitError as error:
        raise CommandError(f"{error}; {_LOOK_FIRST}") from None
    except KeyboardInterrupt:
        raise CommandError(
            f"interrupted while the run may have been started: {_LOOK_FIRST}", INTERRUPTED
        ) from None


@contextmanager
def _way_back_told(args: Namespace, run_id: str) -> Iterator[None]:
    """Tell how to get a run later, where it was interrupted that it is waited for."""
    try:
        yield
    except KeyboardInterrupt:
        raise CommandError(
            f"interrupted; BitScale cannot cancel run {run_id}, it goes on and is paid for; "
            f"to get it later: {_way_back(args, run_id)}",
            INTERRUPTED,
        ) from None


def _ended(hook: BitScaleHook, args: Namespace, run_id: str) -> Run:
    """Wait until a run has ended."""
    from airflow_provider_bitscale.api.errors import RunTimedOutError
    from airflow_provider_bitscale.exceptions import airflow_errors
    from airflow_provider_bitscale.runs.polling import RunDecision
    from airflow_provider_bitscale.runs.result import ended_run

    decision = RunDecision(time.time() + args.timeout, _POLL_INTERVAL, run_id)
    try:
        with airflow_errors(args.conn_id):
            return ended_run(hook.watch_run(args.grid_id, decision), args.grid_id, run_id)
    except RunTimedOutError as error:
        raise CommandError(f"{error}; to get it later: {_way_back(args, run_id)}") from None


def _show(run: Run, grid: Grid, run_id: str, output: str) -> None:
    from airflow_provider_bitscale.api.models import RunStatus

    print_record(run_record(run, grid, run_id), output)
    if run.status is RunStatus.FAILED:
        raise CommandError(f"run {run_id} of grid {grid.id} failed: {run.error or 'BitScale gave no reason'}")


def _way_back(args: Namespace, run_id: str) -> str:
    words = ["airflow", "bitscale", "get-run", args.grid_id, run_id]
    if args.conn_id != DEFAULT_CONN_ID:
        words += ["--conn-id", args.conn_id]
    return shlex.join(words)

"""Commands that look: they cost no credits."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_bitscale.cli.frame import CommandError, command, hook_of
from airflow_provider_bitscale.cli.output import print_list, print_record
from airflow_provider_bitscale.cli.records import column_records, grid_record, printable, task_arguments


@command
def check(args: Namespace) -> None:
    """Say what the Test button says."""
    is_good, message = hook_of(args.conn_id).test_connection()
    if not is_good:
        raise CommandError(f"connection {args.conn_id!r}: {message}")
    if args.output == "table":
        print(printable(message))
    else:
        print_record({"conn_id": args.conn_id, "message": message}, args.output)


@command
def credits(args: Namespace) -> None:
    """Show the credits of the workspace."""
    print_record(hook_of(args.conn_id).get_credits().to_json(), args.output)


@command
def grids(args: Namespace) -> None:
    """List the grids of the workspace."""
    print_list([grid_record(grid) for grid in hook_of(args.conn_id).list_grids(args.search)], args.output)


@command
def columns(args: Namespace) -> None:
    """List what a grid takes and gives and, below a table, the arguments of a task."""
    hook = hook_of(args.conn_id)
    grid = hook.get_grid(args.grid_id)
    recipe = hook.get_run_recipe(args.grid_id) if hook.client.contract.needs_recipe else None
    records = column_records(grid, recipe)
    print_list(records, args.output)
    if args.output == "table":
        print(f"\n{task_arguments(args.grid_id, records)}")

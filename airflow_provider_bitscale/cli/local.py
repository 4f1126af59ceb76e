"""Commands with the local BitScale, which costs nothing and needs no account."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import airflow_provider_bitscale
from airflow_provider_bitscale.cli.frame import CommandError, command, note
from airflow_provider_bitscale.cli.output import print_list

if TYPE_CHECKING:
    from airflow_provider_bitscale.emulator import Emulator

LEADS = Path(airflow_provider_bitscale.__file__).parent / "example_dags" / "data" / "leads.csv"
_CONN_ID = "bitscale_demo"
_COLUMNS = ["Enriched Email", "LinkedIn URL"]
_RUN_SECONDS = (0.5, 2.0)


@command
def emulator(args: Namespace) -> None:
    """Serve a local BitScale, with the command line of its own."""
    from airflow_provider_bitscale.emulator.__main__ import main

    sys.exit(main(args.arguments, prog="airflow bitscale emulator"))


@command
def demo(args: Namespace) -> None:
    """Enrich a file, and print what was found."""
    from airflow_provider_bitscale.emulator import Emulator

    began = time.monotonic()
    folder = _folder(args.folder)
    with Emulator(contract=args.contract, run_seconds=_RUN_SECONDS) as local, _connection_to(local):
        note(f"A local BitScale serves at {local.base_url}, with the API contract {local.contract}.")
        note(f"Enriching the rows of {LEADS} with RunGridBatchOperator ...")
        before = _credits(local)
        manifest = _enrich(folder)
        spent = before - _credits(local)
    [part] = manifest["parts"]
    path = Path(part.removeprefix("file://"))
    with path.open(newline="", encoding="utf-8") as file:
        rows = [_shown(row) for row in csv.DictReader(file)]
    print_list(rows, args.output)
    note(
        f"{manifest['counts']['succeeded']} of {manifest['rows']} rows enriched in "
        f"{time.monotonic() - began:.0f} s for {spent:,} credits of the local BitScale, which has stopped."
    )
    note(f"Results: {path}")


def _folder(given: str | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="bitscale-demo-"))
    folder = Path(given).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--folder {given}: {error.strerror}") from None
    return folder


@contextmanager
def _connection_to(local: Emulator) -> Iterator[None]:
    """Have a connection to the local BitScale, and nothing shared with other processes."""
    variables = {
        f"AIRFLOW_CONN_{_CONN_ID.upper()}": local.connection_json(),
        "AIRFLOW__BITSCALE__SHARED_STATE_URL": "none",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _enrich(folder: Path) -> dict[str, Any]:
    """Run a table as a task does, with what Airflow keeps for it in memory; the batch's manifest."""
    from airflow_provider_bitscale.batch.options import BatchOptions
    from airflow_provider_bitscale.operators.batch_session import BatchSession
    from airflow_provider_bitscale.operators.rendered import options_of
    from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

    task = RunGridBatchOperator(
        task_id="enrich",
        grid_id="grid_001",
        rows_path=LEADS.as_uri(),
        input_fields={"Full Name": "name", "Company": "company"},
        output_columns=_COLUMNS,
        output_path=folder.as_uri(),
        output_format="csv",
        bitscale_conn_id=_CONN_ID,
    )
    context: Any = {"ti": SimpleNamespace(max_tries=0), "task_state_store": _MemoryStore()}
    session = BatchSession(options_of(BatchOptions, task), task.hook, context, time.time())
    manifest = session.run()
    if (failure := session.failure(manifest)) is not None:
        raise failure
    return manifest


class _MemoryStore:
    """A task's state store for the time of this process."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self._values[key] = value

    def delete(self, key: str) -> None:
        self._values.pop(key, None)


def _credits(local: Emulator) -> int:
    remaining: int = local.control.state()["credits"][local.workspace_id]["remaining"]
    return remaining


def _shown(row: dict[str, str]) -> dict[str, str]:
    return {name: row[name] for name in ("name", "company", *_COLUMNS, "_credits") if name in row}

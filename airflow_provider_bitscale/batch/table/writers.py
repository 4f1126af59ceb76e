"""Rows beside what was found for them, in files that are never seen half written."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.row_result import RowResult
from airflow_provider_bitscale.batch.table.csv_rows import csv_text
from airflow_provider_bitscale.batch.table.storage import (
    StoreError,
    StorePath,
    is_final,
    read_whole,
    write_whole,
)

log = logging.getLogger(__name__)

STATUS, RUN_ID, CREDITS, ERROR = OWN_FIELDS = ("_status", "_run_id", "_credits", "_error")


def output_row(row_fields: Mapping[str, Any], settled: RowResult) -> dict[str, Any]:
    """Return a row as written: its fields, then the outputs, then four of ours; later ones win."""
    return {
        **row_fields,
        **settled.outputs,
        STATUS: settled.status,
        RUN_ID: settled.run_id,
        CREDITS: settled.credits,
        ERROR: settled.error,
    }


class Parts(Protocol):
    """Where finished rows go."""

    @property
    def durable(self) -> bool:
        """Whether a later try will find them there."""

    def write_part(self, number: int, rows: Sequence[dict[str, Any]]) -> str | None:
        """Write the rows of a segment; the path, if there is one."""


class RowsInMemory:
    """The rows of a small batch, to be returned by the task."""

    durable = False

    def __init__(self) -> None:
        self._parts: dict[int, Sequence[dict[str, Any]]] = {}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, in the order of the input."""
        return [row for number in sorted(self._parts) for row in self._parts[number]]

    def write_part(self, number: int, rows: Sequence[dict[str, Any]]) -> None:
        """Keep the rows of a segment."""
        self._parts[number] = rows


class Output:
    """The files of a batch: parts with its rows and, when all are there, the manifest that lists them.

    A file is there as a whole or not at all. To write it again replaces it; the same rows give the same
    bytes.

    :param folder: made, with those above it, on disks and on file servers; stores of objects have none.
    :param format: one of ``FORMATS``.
    :param fields: of all rows of the batch, in order.
    :param output_names: of the batch. All its parts in CSV have one header: first the fields that are not
        named like an output, then these, then our own.
    :param escape_formulas: put an apostrophe before cells of CSV that a spreadsheet would run.
    """

    durable = True

    def __init__(
        self,
        folder: StorePath,
        format: str,
        batch_id: str,
        *,
        fields: Iterable[str] = (),
        output_names: Sequence[str] = (),
        escape_formulas: bool = False,
    ) -> None:
        self.folder = folder
        self.format = format
        self.batch_id = batch_id
        self._escape_formulas = escape_formulas
        last = (*output_names, *OWN_FIELDS)
        self._header = list(dict.fromkeys((*(name for name in fields if name not in last), *last)))

    def write_part(self, number: int, rows: Sequence[Mapping[str, Any]]) -> str:
        """Write rows, as :func:`output_row` gives them.

        :return: the path of the part.
        :raises StoreError: as for the manifest, the store did not take the file.
        """
        name = f"part-{number:05d}.{self.format}"
        if self.format == "jsonl":
            return self.write_file(name, _jsonl(rows))
        if more := sorted({field for row in rows for field in row}.difference(self._header)):
            log.warning(
                "%s has no column for %s, unknown to the grid when the batch began; their runs have it",
                self._path(name),
                ", ".join(map(repr, more)),
            )
        return self.write_file(name, csv_text(rows, self._header, escape_formulas=self._escape_formulas))

    def check(self) -> None:
        """Write a file, before anything is paid for that could not be written then.

        It is removed again where that is allowed; to write and to read is all that a batch needs.

        :raises InvalidRequestError: the store does not take it, and will not take it later.
        :raises StoreError: it does not take it now.
        """
        try:
            self.write_file("check", "")
        except StoreError as problem:
            if is_final(problem.__cause__):
                raise InvalidRequestError(f"output_path cannot be written: {problem}") from None
            raise
        self.remove_file("check")

    @property
    def manifest_path(self) -> str:
        """Where the manifest will be."""
        return str(self._path("manifest.json"))

    def write_manifest(self, manifest: Mapping[str, Any]) -> str:
        """Write what :func:`read_manifest` reads, last: with it, all parts are there. Return its path."""
        return self.write_file("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")

    def write_file(self, name: str, text: str) -> str:
        """Write a file of this batch's own; its path."""
        path = self._path(name)
        # An answer may be cut in the middle of a character. That half is written as JSON escapes it.
        write_whole(path, text.encode("utf-8", "backslashreplace"))
        return str(path)

    def read_file(self, name: str) -> str | None:
        """Return what is in a file of this batch's own; None if there is none.

        :raises StoreError: the store cannot be read.
        """
        data = read_whole(self._path(name))
        return None if data is None else data.decode()

    def remove_file(self, name: str) -> None:
        """Remove a file of this batch's own, if it is there and may be removed."""
        path = self._path(name)
        try:
            path.fs.rm_file(path.path)
        except FileNotFoundError:
            pass
        except Exception as problem:
            log.info("%s is left, for it cannot be removed: %s", path, problem)

    def _path(self, name: str) -> StorePath:
        return self.folder / f"{self.batch_id}-{name}"


def _jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

"""Rows beside what was found for them, in files that are never seen half written."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.statuses import Settled

STATUS, RUN_ID, CREDITS, ERROR = OWN_FIELDS = ("_status", "_run_id", "_credits", "_error")


class StorePath(Protocol):
    """What is used of a path in a store: Airflow's ObjectStoragePath has it."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def fs(self) -> Any: ...
    @property
    def parent(self) -> StorePath: ...
    def open(self, mode: str = ..., **options: Any) -> Any: ...
    def __truediv__(self, name: str, /) -> StorePath: ...


def output_row(row_fields: Mapping[str, Any], settled: Settled) -> dict[str, Any]:
    """A row as it is written: its fields, the outputs, four of our own. The later replaces the earlier."""
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

    On local disks and in object stores, a file is there as a whole or not at all. To write it again replaces
    it; the same rows give the same bytes.

    :param folder: made, with those above it, on local disks; other stores have none.
    :param format: one of ``FORMATS``.
    :param output_names: columns that every part in CSV has, whatever was found in its rows.
    """

    durable = True

    def __init__(self, folder: StorePath, format: str, batch_id: str, output_names: Sequence[str]) -> None:
        self.folder = folder
        self.format = format
        self.batch_id = batch_id
        self.output_names = output_names

    def write_part(self, number: int, rows: Sequence[Mapping[str, Any]]) -> str:
        """Write rows, as :func:`output_row` gives them.

        :return: the path of the part.
        :raises OSError: as for the manifest, the store did not take the file.
        """
        text = _WRITERS[self.format](rows, self.output_names)
        return self._write(f"part-{number:05d}.{self.format}", text)

    def check(self) -> None:
        """Write and remove a file, before anything is paid for that could not be written then.

        :raises InvalidRequestError: the store does not take it.
        """
        try:
            self._write("check", "")
            self.folder.fs.rm_file(self._path("check").path)
        except Exception as problem:
            raise InvalidRequestError(f"output_path {self.folder} cannot be written: {problem}") from None

    @property
    def manifest_path(self) -> str:
        """Where the manifest will be."""
        return str(self._path("manifest.json"))

    def write_manifest(self, manifest: Mapping[str, Any]) -> str:
        """Write what :func:`read_manifest` reads; last, for it tells readers that the parts are there.

        :return: the path of the manifest.
        """
        return self._write("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")

    def write_file(self, name: str, text: str) -> str:
        """Write a file of this batch's own; its path."""
        return self._write(name, text)

    def read_file(self, name: str) -> str | None:
        """What is in a file of this batch's own; None if there is none."""
        try:
            with self._path(name).open("rb") as file:
                return bytes(file.read()).decode()
        except FileNotFoundError:
            return None

    def remove_file(self, name: str) -> None:
        """Remove a file of this batch's own, if it is there."""
        with suppress(FileNotFoundError):
            self.folder.fs.rm_file(self._path(name).path)

    def _path(self, name: str) -> StorePath:
        return self.folder / f"{self.batch_id}-{name}"

    def _write(self, name: str, text: str) -> str:
        path = self._path(name)
        # An answer may be cut in the middle of a character. That half is written as JSON escapes it.
        _write_whole(path, text.encode("utf-8", "backslashreplace"))
        return str(path)


def read_manifest(path: StorePath) -> dict[str, Any]:
    """The manifest of a batch.

    :raises InvalidRequestError: there is none, or it is something else.
    """
    try:
        with path.open("rb") as file:
            manifest = json.loads(file.read())
    except (FileNotFoundError, IsADirectoryError):
        raise InvalidRequestError(f"there is no file {path}") from None
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or not _is_manifest(manifest):
        raise InvalidRequestError(f"{path} is not the manifest of a batch")
    return manifest


def _is_manifest(data: Mapping[str, Any]) -> bool:
    return (
        _are_texts(data.get("parts"))
        and _is_mapping(data.get("inputs"))
        and _are_texts(data.get("output_names"))
        and data.get("format") in FORMATS
    )


def _is_mapping(inputs: Any) -> bool:
    return inputs is None or (isinstance(inputs, dict) and _are_texts(list(inputs.values())))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _jsonl(rows: Sequence[Mapping[str, Any]], output_names: Sequence[str]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Sequence[Mapping[str, Any]], output_names: Sequence[str]) -> str:
    names = dict.fromkeys(name for row in rows for name in row if name not in OWN_FIELDS)
    header = [*dict.fromkeys((*names, *output_names)), *OWN_FIELDS]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(row.get(name)) for name in header] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


_WRITERS: dict[str, Callable[[Sequence[Mapping[str, Any]], Sequence[str]], str]] = {
    "jsonl": _jsonl,
    "csv": _csv,
}
FORMATS = tuple(_WRITERS)


def _write_whole(path: StorePath, data: bytes) -> None:
    if not getattr(path.fs, "local_file", False):
        # Object stores show an object when all of it has arrived.
        path.fs.pipe_file(path.path, data)
        return
    # Not fsspec's transaction: it goes by way of the folder for temporary files, and a move from one disk to
    # another is a copy that can be seen half done.
    target = Path(path.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            # Else a power cut may keep the name, and not what is in the file.
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

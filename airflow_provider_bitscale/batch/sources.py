"""Where the rows of a batch come from: what can be read again from the start, files never all in memory."""

from __future__ import annotations

import csv
import json
import re
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from gzip import BadGzipFile
from typing import Any, Protocol, TypeAlias

from airflow_provider_bitscale.api.carriable import carriable, carriable_text
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.output import ERROR, OWN_FIELDS, RUN_ID, STATUS, StorePath, read_manifest
from airflow_provider_bitscale.batch.statuses import (
    FAILED,
    NOT_SUBMITTED,
    UNKNOWN,
    was_accepted,
)

# Where a row stands, for messages, and its fields or what is wrong with it.
Record: TypeAlias = "tuple[str, dict[str, Any] | InvalidRequestError]"


class Source(Protocol):
    """Rows that can be read more than once."""

    @property
    def text(self) -> bool:
        """Whether all values are text, as in CSV."""

    def read(self) -> Iterator[Record]:
        """All rows from the start, each with its place, such as ``line 7``.

        :raises InvalidRequestError: it cannot be read on. A row that is broken alone is yielded as such.
        """


class ListSource:
    """Rows that are in memory, such as those from an XCom.

    :raises InvalidRequestError: it is no list.
    """

    text = False

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        if isinstance(rows, (str, bytes)) or not isinstance(rows, Sequence):
            raise InvalidRequestError(f"rows must be a list of dicts, not {type(rows).__name__}")
        self._rows = rows

    def read(self) -> Iterator[Record]:
        """Places are ``row 1`` and so on."""
        for number, row in enumerate(self._rows, 1):
            yield f"row {number}", _fields_of(row)


class FileSource:
    """Rows of a file: CSV with a header, or JSON lines; UTF-8. Either may be gzipped.

    A ``.json`` file may also be one array of objects, which is held in memory.

    :param path: ends with one of ``SUFFIXES``, and ``.gz`` perhaps.
    :raises InvalidRequestError: it ends otherwise.
    """

    SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json")

    def __init__(self, path: StorePath) -> None:
        name = path.name.lower()
        self._compression = "gzip" if name.endswith(".gz") else None
        if not name.removesuffix(".gz").endswith(self.SUFFIXES):
            raise InvalidRequestError(
                f"{path}: rows are read from {', '.join(self.SUFFIXES)}, with or without .gz after it"
            )
        self._path = path
        self.text = name.removesuffix(".gz").endswith(".csv")
        self._may_be_array = name.removesuffix(".gz").endswith(".json")

    def read(self) -> Iterator[Record]:
        """Places are ``line 1`` and so on; a row of several lines stands where it begins.

        In an array of JSON they are ``row 1`` and so on.
        """
        try:
            # What is not UTF-8 is let through, to be reported with its line.
            with self._path.open(
                "r",
                encoding="utf-8-sig",
                errors="surrogateescape",
                newline="",
                compression=self._compression,
            ) as lines:
                yield from (
                    _csv_records(iter(lines))
                    if self.text
                    else _json_records(iter(lines), may_be_array=self._may_be_array)
                )
        except (FileNotFoundError, IsADirectoryError):
            raise InvalidRequestError(f"there is no file {self._path}") from None
        except (BadGzipFile, EOFError, zlib.error) as problem:
            raise InvalidRequestError(f"{self._path} is not a whole gzip file: {problem}") from None
        except _Unreadable as problem:
            raise InvalidRequestError(f"{self._path}: {problem}") from None


class EarlierRows(ABC):
    """Rows of an earlier batch.

    :param manifest_path: of that batch; its parts are beside it.
    :raises InvalidRequestError: that is no manifest.
    """

    def __init__(self, manifest_path: StorePath) -> None:
        self.manifest = manifest = read_manifest(manifest_path)
        self.text = manifest["format"] == "csv"
        self._output_names = frozenset(manifest["output_names"])
        self._parts = [manifest_path.parent / part.rpartition("/")[2] for part in manifest["parts"]]

    def read(self) -> Iterator[Record]:
        """Places name the part and its line."""
        for part in self._parts:
            for place, fields in FileSource(part).read():
                if isinstance(fields, InvalidRequestError):
                    yield f"{part.name}, {place}", fields
                elif self._is_wanted(fields):
                    yield f"{part.name}, {place}", self._as_it_came(fields)

    @abstractmethod
    def _is_wanted(self, fields: dict[str, Any]) -> bool:
        """Whether a row, as it was written, is one of these."""

    def _as_it_came(self, fields: dict[str, Any]) -> dict[str, Any]:
        # Outputs that were not found are empty cells of CSV. An output's name with a value is the row's own.
        return {
            name: value
            for name, value in fields.items()
            if name not in OWN_FIELDS and not (value == "" and name in self._output_names)
        }


class UnfinishedRows(EarlierRows):
    """Those that failed or were not submitted, as they went into the batch, to be submitted.

    :param resubmit: also those of which nobody can tell whether they were submitted. Rows that BitScale
        accepted are never submitted again: they are paid for.
    """

    def __init__(self, manifest_path: StorePath, *, resubmit: bool) -> None:
        super().__init__(manifest_path)
        self._resubmit = resubmit
        self.left_out: Counter[str] = Counter()

    def read(self) -> Iterator[Record]:
        """As any; ``left_out`` then counts the unknown rows that are not among them, by the reason."""
        self.left_out.clear()
        yield from super().read()

    def _is_wanted(self, fields: dict[str, Any]) -> bool:
        status = fields.get(STATUS)
        if status != UNKNOWN:
            return status in (FAILED, NOT_SUBMITTED)
        if fields.get(RUN_ID):
            self.left_out["their runs are known: collect_unknown_from asks for them at no cost"] += 1
        elif was_accepted(fields.get(ERROR)):
            self.left_out[
                "BitScale accepted them, so they are paid for, but their ids could not be read"
            ] += 1
        elif not self._resubmit:
            self.left_out['they may be paid for: on_ambiguous_submit="resubmit" would submit them'] += 1
        else:
            return True
        return False


class _Unreadable(Exception):
    """Not one row can be read."""


def _csv_records(lines: Iterator[str]) -> Iterator[Record]:
    reader = csv.reader(lines, strict=True)
    header = _header(reader)
    while True:
        place = f"line {reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as problem:
            yield place, InvalidRequestError(f"it is not CSV: {problem}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(header):
            yield place, InvalidRequestError(f"it has {len(cells)} cells, the header has {len(header)}")
        elif any(map(_NOT_UTF_8, cells)):
            yield place, _not_utf_8()
        else:
            yield place, dict(zip(header, map(carriable_text, cells), strict=True))


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next(reader, None)
    except csv.Error as problem:
        raise _Unreadable(f"line 1, the header: it is not CSV: {problem}") from None
    if header is None:
        return []
    is_utf_8 = not any(map(_NOT_UTF_8, header))
    header = list(map(carriable_text, header))
    problems = [f"its cell {number} is empty" for number, name in enumerate(header, 1) if not name.strip()]
    problems += [
        f"it has {name!r} more than once" for name in dict.fromkeys(header) if header.count(name) > 1
    ]
    if not is_utf_8:
        problems.append("it is not UTF-8")
    if problems or not header:
        raise _Unreadable(f"line 1, the header: {', '.join(problems) or 'it is empty'}")
    return header


def _json_records(lines: Iterator[str], *, may_be_array: bool) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        if may_be_array and line.lstrip().startswith("["):
            rows = _decoded(line + "".join(lines))
            if isinstance(rows, InvalidRequestError):
                raise _Unreadable(f"it is an array, but {rows.message}")
            yield from ListSource(rows).read()
            return
        may_be_array = False
        yield f"line {number}", _fields_of(_decoded(line))


def _decoded(text: str) -> Any:
    """The value, or what is wrong with it."""
    if _NOT_UTF_8(text):
        return _not_utf_8()
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        return InvalidRequestError(f"it is not JSON: {problem.msg} at character {problem.pos + 1}")
    except (ValueError, RecursionError) as problem:
        return InvalidRequestError(f"it is not JSON: {problem}")


def _fields_of(row: Any) -> dict[str, Any] | InvalidRequestError:
    if isinstance(row, InvalidRequestError):
        return row
    if not isinstance(row, dict):
        return InvalidRequestError(f"it must be an object of fields, not {type(row).__name__}")
    for name in row:
        if not isinstance(name, str):
            return InvalidRequestError(f"it has the field {name!r}, which is no text")
    fields: dict[str, Any] = carriable(row)
    return fields


def _not_utf_8() -> InvalidRequestError:
    return InvalidRequestError("it is not UTF-8")


# Bytes that could not be decoded, as "surrogateescape" lets them through.
_NOT_UTF_8 = re.compile("[\udc80-\udcff]").search

"""Where the rows of a batch come from: what can be read again from the start, files never all in memory."""

from __future__ import annotations

import logging
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from gzip import BadGzipFile
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table import file_format
from airflow_provider_bitscale.batch.table.csv_rows import csv_table
from airflow_provider_bitscale.batch.table.json_rows import json_records
from airflow_provider_bitscale.batch.table.raw_rows import Record, Unreadable, fields_of
from airflow_provider_bitscale.batch.table.storage import StoreError, StorePath, hint_if_relative, is_final

log = logging.getLogger(__name__)


class Source(Protocol):
    """Rows that can be read more than once."""

    @property
    def header(self) -> Sequence[str]:
        """The names of the fields, as far as they stand by themselves; known once it is read."""

    def read(self) -> Iterator[Record]:
        """All rows from the start, each with its place, such as ``line 7``.

        :raises InvalidRequestError: it cannot be read on. A row that is broken alone is yielded as such.
        :raises StoreError: the store does not give it now.
        """


class ListSource:
    """Rows that are in memory, such as those from an XCom.

    :raises InvalidRequestError: it is not a list.
    """

    header: Sequence[str] = ()

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        if isinstance(rows, (str, bytes)) or not isinstance(rows, Sequence):
            kind = type(rows).__name__
            raise InvalidRequestError(f"rows must be a list of dicts, not {kind}{_WAYS_OUT.get(kind, '')}")
        self._rows = rows

    def read(self) -> Iterator[Record]:
        """Places are ``row 1`` and so on."""
        for number, row in enumerate(self._rows, 1):
            yield f"row {number}", fields_of(row)


class FileSource:
    """Rows of a file: CSV with a header, or JSON lines, in UTF-8 or with a byte order mark.

    Compression is found from the content: gzip, bzip2, xz. So is the separator of CSV, where only one makes a
    table of it, or a first line such as ``sep=;`` says it. A ``.json`` file may also be an array of objects,
    or objects over several lines; these are held in memory.

    :param path: ends with one of ``SUFFIXES``, and one of a compression perhaps.
    :param format: None to find it out from the content.
    :raises InvalidRequestError: it ends otherwise.
    """

    SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")

    def __init__(self, path: StorePath, format: file_format.TableFormat | None = None) -> None:
        self._path = path
        self._format = format
        self._compression: str | None = None
        self._warned: set[str] = set()
        self.header: Sequence[str] = ()
        name = path.name.lower()
        for suffix in (".gz", ".bz2", ".xz"):
            name = name.removesuffix(suffix)
        if not name.endswith(self.SUFFIXES):
            raise InvalidRequestError(
                f"{path}: rows are read from {', '.join(self.SUFFIXES)}, with or without .gz, .bz2 or .xz "
                f"after it; write the table as CSV in UTF-8 or as JSON lines{self._more_of_the_path()}"
            )
        self._named = file_format.TableFormat(
            is_csv=name.endswith((".csv", ".tsv")),
            may_be_array=name.endswith(".json"),
            separator="\t" if name.endswith(".tsv") else ",",
        )

    def read(self) -> Iterator[Record]:
        """Places are ``line 1`` and so on; a row of several lines stands where it begins.

        In an array of JSON they are ``row 1`` and so on.
        """
        try:
            format = self._format = self._format or self._found()
            # What is not UTF-8 is let through, to be reported with its line.
            with self._path.open(
                "r",
                encoding=format.encoding,
                errors="surrogateescape",
                newline="",
                compression=self._compression,
            ) as lines:
                if format.is_csv:
                    self.header, records = csv_table(iter(lines), format, self._warn_once)
                else:
                    records = json_records(iter(lines), may_be_array=format.may_be_array)
                yield from records
        except (FileNotFoundError, IsADirectoryError):
            raise InvalidRequestError(f"there is no file {self._path}{self._more_of_the_path()}") from None
        except (BadGzipFile, EOFError, zlib.error, lzma.LZMAError) as problem:
            raise InvalidRequestError(f"{self._path} is not a whole compressed file: {problem}") from None
        except UnicodeDecodeError as problem:
            raise InvalidRequestError(
                f"{self._path} begins as {problem.encoding}, and is not: {problem}"
            ) from None
        except Unreadable as problem:
            raise InvalidRequestError(f"{self._path}: {problem}") from None
        except Exception as problem:
            # The second is what Python raises for bzip2 that is broken: an OSError like any other.
            if is_final(problem) or str(problem) == "Invalid data stream":
                raise InvalidRequestError(f"{self._path} cannot be read: {problem}") from None
            raise StoreError.of(self._path, problem) from problem

    def _found(self) -> file_format.TableFormat:
        """Return what the content says."""
        sample = self._sample()
        self._compression = file_format.compression_of(sample)
        if self._compression is not None:
            sample = self._sample()
            if file_format.compression_of(sample) is not None:
                raise Unreadable("it is compressed twice: unpack it once")
        found = file_format.format_of(self._named, sample, whole=len(sample) < file_format.SAMPLE_SIZE)
        if found.peculiarities:
            self._warn_once(f"it is read {found.peculiarities}")
        return found

    def _sample(self) -> bytes:
        with self._path.open("rb", compression=self._compression) as file:
            return bytes(file.read(file_format.SAMPLE_SIZE))

    def _warn_once(self, what: str) -> None:
        # A file is read twice.
        if what not in self._warned:
            self._warned.add(what)
            log.warning("%s: %s", self._path, what)

    def _more_of_the_path(self) -> str:
        """Return what else may be wrong with a path that is not a file."""
        if _PATTERN.search(self._path.path):
            return "; a pattern is not expanded: give one file, or map the task, .expand(rows_path=…)"
        try:
            is_folder = self._path.fs.isdir(self._path.path)
        except Exception:
            is_folder = False
        if is_folder:
            return "; it is a folder: give one of its files, or map the task, .expand(rows_path=…)"
        return hint_if_relative(str(self._path))


_PATTERN = re.compile(r"[*?]|\[[^]]+\]|\{[^}]+,[^}]+\}")
_WAYS_OUT = {
    "DataFrame": ": use .to_dict('records')",
    "dict": ": if one of its fields holds the rows, give that list alone",
    "str": ": with render_template_as_native_obj=True a template gives what it stands for",
    "generator": ": make a list of it",
}

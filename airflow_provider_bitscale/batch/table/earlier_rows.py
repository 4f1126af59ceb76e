"""Rows of an earlier batch, read from its manifest and parts as they went into it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.row_result import FAILED, NOT_SUBMITTED, UNKNOWN, was_accepted
from airflow_provider_bitscale.batch.table.csv_rows import unescaped
from airflow_provider_bitscale.batch.table.file_format import TableFormat
from airflow_provider_bitscale.batch.table.manifest import read_manifest
from airflow_provider_bitscale.batch.table.raw_rows import Record
from airflow_provider_bitscale.batch.table.readers import FileSource
from airflow_provider_bitscale.batch.table.storage import StorePath
from airflow_provider_bitscale.batch.table.writers import ERROR, OWN_FIELDS, RUN_ID, STATUS


class EarlierRows(ABC):
    """Rows of an earlier batch, whose parts are beside its manifest.

    :raises InvalidRequestError: the path is not that of a manifest.
    """

    header: Sequence[str] = ()

    def __init__(self, manifest_path: StorePath) -> None:
        self.manifest = manifest = read_manifest(manifest_path)
        self._format = TableFormat(is_csv=manifest["format"] == "csv", encoding="utf-8")
        self._escapes_formulas = manifest.get("csv_escape_formulas") is True and self._format.is_csv
        self._output_names = frozenset(manifest["output_names"])
        self._parts = [manifest_path.parent / part.rpartition("/")[2] for part in manifest["parts"]]

    def read(self) -> Iterator[Record]:
        """Places name the part and its line."""
        for part in self._parts:
            for place, fields in FileSource(part, self._format).read():
                if isinstance(fields, InvalidRequestError):
                    yield f"{part.name}, {place}", fields
                    continue
                if self._escapes_formulas:
                    fields = {unescaped(name): unescaped(cell) for name, cell in fields.items()}
                if self._is_wanted(fields):
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

    :param resubmit: also rows that may have been submitted already. Rows that BitScale
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


class UnknownRows(EarlierRows):
    """The unknown rows of an earlier batch, each with the id of its run, if there is one, and its error.

    :param grid_id: of the grid whose runs are to be asked for.
    :raises InvalidRequestError: that is not a manifest, or it is one of another grid.
    """

    def __init__(self, manifest_path: StorePath, grid_id: str) -> None:
        super().__init__(manifest_path)
        if (other := self.manifest.get("grid_id")) != grid_id:
            raise InvalidRequestError(f"{manifest_path} is of grid {other!r}, not of {grid_id!r}")

    def _is_wanted(self, fields: dict[str, Any]) -> bool:
        return fields.get(STATUS) == UNKNOWN

    def _as_it_came(self, fields: dict[str, Any]) -> dict[str, Any]:
        own = {name: fields.get(name) or None for name in (RUN_ID, ERROR)}
        return {**super()._as_it_came(fields), **own}

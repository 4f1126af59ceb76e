"""Rows of an earlier batch that are unknown: their runs are asked for again, and nothing is submitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.row_result import UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.records import INTENT, SegmentRecord
from airflow_provider_bitscale.batch.table.earlier_rows import EarlierRows
from airflow_provider_bitscale.batch.table.mapping import Segment
from airflow_provider_bitscale.batch.table.store_files import StorePath
from airflow_provider_bitscale.batch.table.writers import ERROR, RUN_ID, STATUS


class UnknownRows(EarlierRows):
    """The unknown rows of an earlier batch, each with the id of its run, if there is one, and its error.

    :param manifest_path: of that batch; its parts are beside it.
    :param grid_id: of the grid whose runs are to be asked for.
    :raises InvalidRequestError: that is no manifest, or it is one of another grid.
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


class NotSubmitted:
    """The form of rows that are not submitted: they take no inputs, and none are duplicates."""

    named_fields: frozenset[str] = frozenset()

    def check_required(self, fields: Sequence[str]) -> None:
        """Nothing."""

    def is_name(self, text: str) -> bool:
        """None is wanted."""
        return False

    def check_fields(self, fields: Sequence[str]) -> None:
        """None is needed."""

    def inputs_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """No inputs."""
        return {}

    def key_of(self, fields: Mapping[str, Any]) -> bytes | None:
        """No key."""
        return None

    def key_values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """No key."""
        return {}


def collected_records(segments: Iterable[Segment]) -> dict[int, SegmentRecord]:
    """What an earlier try would have left of these rows: each has a run, or is unknown for good.

    :param segments: of :class:`UnknownRows`.
    """
    return {segment.number: _record(segment) for segment in segments}


def _record(segment: Segment) -> SegmentRecord:
    run_ids = [row.fields[RUN_ID] for row in segment.rows]
    without = [position for position, run_id in enumerate(run_ids) if run_id is None]
    return SegmentRecord(
        [INTENT if run_id is None else str(run_id) for run_id in run_ids],
        {position: RowResult(UNKNOWN, error=segment.rows[position].fields[ERROR]) for position in without},
    )

"""A segment of which some rows have no result yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_bitscale.batch.plan.batch_row import BatchRow
from airflow_provider_bitscale.batch.row_result import RowResult
from airflow_provider_bitscale.batch.store.segment_records import Summary
from airflow_provider_bitscale.batch.table.survey import Segment
from airflow_provider_bitscale.batch.table.writers import output_row
from airflow_provider_bitscale.batch.tally import Tally


class OpenSegment:
    """The rows of a segment, as they came and as they live.

    :ivar left: how many rows have no result yet.
    """

    def __init__(self, segment: Segment) -> None:
        self.source = segment.rows
        self.rows = [BatchRow(row.index, segment.number, at) for at, row in enumerate(segment.rows)]
        self.left = len(self.rows)

    @property
    def is_collectable(self) -> bool:
        """Whether rows are unknown whose runs can be polled again."""
        return any(result.is_collectable for result in self._results())

    def output_rows(self) -> list[dict[str, Any]]:
        """All rows as they are written."""
        return [
            output_row(row.fields, result) for row, result in zip(self.source, self._results(), strict=True)
        ]

    def summary(self, part: str | None) -> Summary:
        """Return what they come to."""
        tally = Tally()
        for result in self._results():
            tally.add(result)
        return tally.summary(part)

    def _results(self) -> Iterator[RowResult]:
        return (row.result for row in self.rows if row.result is not None)

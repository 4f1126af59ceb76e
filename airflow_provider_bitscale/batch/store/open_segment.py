"""A segment of which some rows are not settled yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_bitscale.batch.row_result import NOT_SUBMITTED, UNKNOWN, RowResult
from airflow_provider_bitscale.batch.store.records import SegmentRecord, Summary
from airflow_provider_bitscale.batch.table.mapping import Segment
from airflow_provider_bitscale.batch.table.writers import output_row
from airflow_provider_bitscale.batch.tally import Tally


class OpenSegment:
    """Rows are known by their position in it."""

    def __init__(self, segment: Segment, record: SegmentRecord) -> None:
        self.number = segment.number
        self.rows = segment.rows
        self.record = record
        self._settled: list[RowResult | None] = [None] * len(segment.rows)
        self._left = len(segment.rows)
        # What rows are if nothing more becomes of them, where their record does not say it.
        self.left_as: dict[int, RowResult] = {}

    @property
    def is_settled(self) -> bool:
        """Whether all rows are."""
        return not self._left

    @property
    def is_collectable(self) -> bool:
        """Whether rows are unknown whose runs can be asked for again."""
        return any(settled.is_collectable for settled in self._all())

    def settle(self, position: int, settled: RowResult) -> RowResult | None:
        """What has become of a row; what was thought before, if that was known."""
        before = self._settled[position]
        if before is None:
            self._left -= 1
        self._settled[position] = settled
        return before

    def give_up(self, why: str) -> Iterator[RowResult]:
        """Settle what is not settled as it stands in the record."""
        for position, settled in enumerate(self._settled):
            if settled is None:
                entry = self.record.entries[position]
                status = NOT_SUBMITTED if entry is None else UNKNOWN
                given_up = self.left_as.get(position) or RowResult(status, run_id=entry or None, error=why)
                self.settle(position, given_up)
                yield given_up

    def output_rows(self) -> list[dict[str, Any]]:
        """All rows as they are written."""
        return [output_row(row.fields, settled) for row, settled in zip(self.rows, self._all(), strict=True)]

    def summary(self, part: str | None) -> Summary:
        """What they come to."""
        tally = Tally()
        for settled in self._all():
            tally.add(settled)
        return tally.summary(part)

    def _all(self) -> list[RowResult]:
        return [settled for settled in self._settled if settled is not None]

"""The rows of a batch on their way from the input to a part, and what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.batch.journal import SegmentRecord, Summary
from airflow_provider_bitscale.batch.output import Settled, output_row
from airflow_provider_bitscale.batch.rows import Segment
from airflow_provider_bitscale.batch.statuses import FAILED, NOT_SUBMITTED, SUCCEEDED, UNKNOWN


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


class OpenSegment:
    """A segment of which some rows are not settled yet; rows by position."""

    def __init__(self, segment: Segment, record: SegmentRecord) -> None:
        self.number = segment.number
        self.rows = segment.rows
        self.record = record
        self._settled: list[Settled | None] = [None] * len(segment.rows)
        self._left = len(segment.rows)

    @property
    def is_settled(self) -> bool:
        """Whether all rows are."""
        return not self._left

    def settle(self, position: int, settled: Settled) -> None:
        """What has become of a row."""
        if self._settled[position] is None:
            self._left -= 1
        self._settled[position] = settled

    def give_up(self, why: str) -> Iterator[Settled]:
        """Settle what is not settled as it stands in the record."""
        for position, settled in enumerate(self._settled):
            if settled is None:
                entry = self.record.entries[position]
                status = NOT_SUBMITTED if entry is None else UNKNOWN
                given_up = Settled(status, run_id=entry or None, error=why)
                self.settle(position, given_up)
                yield given_up

    def output_rows(self) -> list[dict[str, Any]]:
        """All rows as they are written."""
        return [output_row(row.fields, settled) for row, settled in zip(self.rows, self._all(), strict=True)]

    def summary(self, part: str | None) -> Summary:
        """What they come to."""
        settled = self._all()
        return Summary(
            part=part,
            counts=dict(Counter(each.status for each in settled)),
            credits=sum(each.credits or 0 for each in settled),
            untold=sum(is_untold(each) for each in settled),
        )

    def _all(self) -> list[Settled]:
        return [settled for settled in self._settled if settled is not None]


def is_untold(settled: Settled) -> bool:
    """Whether a run was, or may have been, paid for, and nobody knows how much."""
    return settled.credits is None and settled.status in (SUCCEEDED, UNKNOWN)


@dataclass
class Tally:
    """What a batch has come to so far.

    :param counts: rows by status.
    :param credits: consumed, as far as is known.
    :param submitted: submissions that were, or may have been, accepted in this try.
    :param refusal: BitScale's word that it will start no more runs.
    :param parts: paths by number of the segment.
    :param stopped_by: why rows were left out: ``max_credits``, ``insufficient_credits``,
        ``run_limit_exceeded``, ``max_failed_rows``, ``deadline``; None if they were not.
    """

    counts: Counter[str] = field(default_factory=Counter)
    credits: float = 0
    untold: int = 0
    submitted: int = 0
    refusal: BitScaleError | None = None
    first_failure: str | None = None
    parts: dict[int, str] = field(default_factory=dict)
    stopped_by: str | None = None

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return self.counts[FAILED]

    @property
    def settled(self) -> int:
        """Rows of which the fate is known, or known to be unknown."""
        return self.counts.total()

    def add(self, settled: Settled) -> None:
        """A row is settled."""
        self.counts[settled.status] += 1
        if settled.status == FAILED:
            self.first_failure = self.first_failure or settled.error
        self.credits += settled.credits or 0
        self.untold += is_untold(settled)

    def add_summary(self, number: int, summary: Summary) -> None:
        """A segment was finished by an earlier try."""
        self.counts.update(summary.counts)
        self.credits += summary.credits
        self.untold += summary.untold
        if summary.part is not None:
            self.parts[number] = summary.part

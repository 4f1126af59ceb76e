"""Which row a run is of: one run that is told for two rows is nonsense, and the result of neither."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_bitscale.api.errors import UnreadableAcceptanceError
from airflow_provider_bitscale.batch.row_result import accepted

if TYPE_CHECKING:
    from airflow_provider_bitscale.batch.running import RunningBatch

log = logging.getLogger(__name__)


class RunIds:
    """The rows of runs, by run id."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def claim(self, run_id: str, row: int) -> int | None:
        """This run is of this row; the other row that it is of, too, if there is one."""
        owner = self._rows.setdefault(run_id, row)
        return None if owner == row else owner


def claim(batch: RunningBatch, row: int, run_id: str) -> bool:
    """Note that this run is of this row, before anything follows from that.

    :return: False if it is of another row, too. Then both are unknown, and no more rows are submitted.
    """
    other = batch.run_ids.claim(run_id, row)
    if other is None:
        return True
    error = UnreadableAcceptanceError(
        f"run {run_id!r} was told for two rows, {other + 1:,} and {row + 1:,}: it cannot be of both"
    )
    log.error("No more rows are submitted: %s", error)
    for each in (row, other):
        _disown(batch, each, error)
    batch.stop("unreadable_answers", error)
    return False


def _disown(batch: RunningBatch, row: int, error: UnreadableAcceptanceError) -> None:
    if not batch.segments.may_change(row):
        log.error("Row %d is written already, with a result that may be of another row", row + 1)
        return
    settled = accepted(str(error))
    # No retry shall ask for that run, nor submit the row.
    batch.segments.announce([row])
    batch.journal_writer.answered(*batch.segments.place(row), settled)
    if batch.plan.is_posting(row) or batch.plan.is_watched(row):
        batch.plan.given_up(row)
    batch.settle(row, settled)

"""The end of a try of a batch: its manifest, what the log says of it, and whether the task fails."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from airflow_provider_bitscale import exceptions
from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.batch.plan.verdict import Ending, Verdict
from airflow_provider_bitscale.batch.progress import Tally, credits_spent
from airflow_provider_bitscale.batch.row_result import STATUSES
from airflow_provider_bitscale.batch.store.batch_record import BatchRecord
from airflow_provider_bitscale.batch.table.manifest import ReadOptions


def manifest_of(
    batch: BatchRecord, grid_id: str, rows: int, tally: Tally, read_options: ReadOptions
) -> dict[str, Any]:
    """Return the manifest, as the operator describes it, without its own path."""
    finished = time.time()
    return {
        "batch_id": batch.batch_id,
        "grid_id": grid_id,
        "rows": rows,
        "counts": {status: tally.counts[status] for status in STATUSES},
        "credits": tally.credits,
        "runs_without_credits": tally.unknown_costs,
        "stopped_by": tally.stopped_by,
        "parts": [tally.parts[number] for number in sorted(tally.parts)],
        "manifest_path": None,
        "format": batch.output_format,
        **read_options.in_manifest,
        "csv_escape_formulas": batch.escapes_formulas,
        "output_names": batch.output_names,
        "started_at": _iso(batch.started_at),
        "finished_at": _iso(finished),
        "seconds": round(finished - batch.started_at, 3),
    }


def summary_of(manifest: dict[str, Any]) -> str:
    """Return what has come of the batch, as a line for the log."""
    counts = ", ".join(f"{count:,} {status}" for status, count in manifest["counts"].items() if count)
    credits = credits_spent(manifest["credits"], manifest["runs_without_credits"])
    stopped = f"; stopped by {manifest['stopped_by']}" if manifest["stopped_by"] else ""
    return (
        f"{manifest['rows']:,} rows in {manifest['seconds']:,.1f} s: {counts or 'none'}; "
        f"{credits}{stopped}; {manifest['manifest_path'] or 'rows are returned'}"
    )


def ending_of(tally: Tally, max_failed: int) -> Ending:
    """Return what the verdict is about."""
    return Ending(
        counts=dict(tally.counts),
        collectable=tally.collectable,
        stopped_by=tally.stopped_by,
        max_failed=max_failed,
        refused=tally.cause is not None and not tally.submitted,
    )


def failure_of(
    verdict: Verdict, ending: Ending, tally: Tally, manifest: dict[str, Any]
) -> errors.BitScaleError | None:
    """Return the error that the task fails with; None if it succeeds."""
    kept = f"What was found is kept: {manifest['manifest_path'] or 'see the XCom manifest'}."
    why = f" ({tally.cause})" if tally.cause is not None else ""
    if verdict is Verdict.UNREADABLE:
        return errors.UnreadableAcceptanceError(
            f"no more rows are submitted, for what BitScale answers cannot be understood: {tally.cause}. "
            f"{ending}. {kept}"
        )
    if verdict is Verdict.TOO_MANY_FAILED:
        return exceptions.TooManyFailedRowsError(
            f"{tally.failed:,} rows failed, and max_failed_rows allows {ending.max_failed:,} of "
            f"{manifest['rows']:,}; the first: {tally.first_failure or 'see the parts'}. {kept} To go on, "
            "raise max_failed_rows and clear the task; to run the failed rows again, use retry_failed_from."
        )
    if verdict is Verdict.OUT_OF_TIME:
        left = ending.missing - tally.failed
        return errors.RunTimedOutError(f"{left:,} rows were left at the deadline; a retry goes on with them")
    if verdict is Verdict.ASK_AGAIN:
        return exceptions.UnknownRowsError(
            f"{ending}. A retry, or clearing the task, asks for known runs again at no cost; "
            f"collect_unknown_from=<manifest> does so in another task. {kept}"
        )
    if verdict is Verdict.REFUSED:
        return tally.cause
    if verdict is Verdict.INCOMPLETE:
        return exceptions.IncompleteBatchError(
            f"{ending}{why}. {kept} To run rows that failed or were not submitted, use retry_failed_from; to "
            "let the task succeed without the missing rows, set fail_when_incomplete=False and clear it."
        )
    return None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")

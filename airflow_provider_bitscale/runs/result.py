"""Pure: what a task hands on when its run has completed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_bitscale.api.models import Run


def run_result(
    run: Run, *, grid_id: str, run_id: str | None, column_names: Mapping[str, str]
) -> dict[str, Any]:
    """A completed run as JSON, for XCom.

    :param run_id: None for a synchronous run, which has none.
    :param column_names: names by column id; outputs of other columns keep their id as key.
    :return: ``{run_id, grid_id, status, outputs, credits: {consumed, remaining}, started_at, completed_at}``,
        times in ISO 8601; ``credits`` is None where the answer had none.
    """
    return {
        "run_id": run_id,
        "grid_id": grid_id,
        "status": run.status.value,
        "outputs": {column_names.get(key, key): value for key, value in (run.outputs or {}).items()},
        "credits": run.credits and {"consumed": run.credits.consumed, "remaining": run.credits.remaining},
        "started_at": _iso(run.started_at),
        "completed_at": _iso(run.completed_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

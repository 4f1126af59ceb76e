"""Pure: what a task does with a run that its record does not name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.runs.outcome import COMPLETED, Outcome
from airflow_provider_bitscale.runs.result import completed_run, run_result
from airflow_provider_bitscale.runs.run_record import ADOPT_KEY, adopt_advice


def refusal(seen: Run | errors.BitScaleError, *, grid_id: str, run_id: str) -> errors.BitScaleError | None:
    """Why the task does not go on with a run that a person names; None if it does.

    :return: InvalidRequestError if it is not a run of the grid; else what kept the poll from telling.
    """
    if isinstance(seen, Run):
        if seen.run_id not in (None, run_id):
            why = f"BitScale answers about another run, {seen.run_id!r}"
        elif seen.grid_id not in (None, grid_id):
            why = f"it is a run of another grid, {seen.grid_id!r}"
        else:
            return None
    elif isinstance(seen, (errors.NotFoundError, errors.InvalidRequestError)):
        why = str(seen)
    else:
        return seen
    return errors.InvalidRequestError(
        f"the run {run_id!r} that the key {ADOPT_KEY!r} of the task's state store names is none of grid "
        f"{grid_id}: {why}. Nothing was submitted. Correct the key or delete it, and clear the task."
    )


def result_without_record(outcome: Outcome, grid_id: str, miss_values: Collection[str]) -> dict[str, Any]:
    """Return the result of a run whose record went while it was waited for.

    :return: as :func:`run_result`, outputs keyed by column id.
    :raises AmbiguousSubmitError: it has none, and a task without a record would submit and pay again.
    """
    data = outcome.data or {}
    run_id = data.get("run_id")
    if outcome.kind != COMPLETED or run_id is None:
        raise errors.AmbiguousSubmitError(
            f"the record of run {run_id} is gone from the task's state store, and it was last seen "
            f"{outcome.kind}. {adopt_advice(run_id)} Without that, a Clear submits and pays again."
        )
    run = completed_run(outcome, grid_id, run_id)
    return run_result(run, grid_id=grid_id, run_id=run_id, column_names={}, miss_values=miss_values)

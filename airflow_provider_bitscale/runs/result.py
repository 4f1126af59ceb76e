"""Pure: what a task makes of a run that has ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_bitscale.api.blank import is_blank
from airflow_provider_bitscale.api.error_answers import excerpt_of
from airflow_provider_bitscale.api.errors import RunFailedError, RunTimedOutError, UnreadableAcceptanceError
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.outcome import COMPLETED, FAILED, TIMED_OUT, Outcome


def ended_run(outcome: Outcome, grid_id: str, run_id: str) -> Run:
    """Return the run of an outcome, if it has ended, completed or failed.

    :raises RunTimedOutError: it had not ended at the deadline.
    :raises BitScaleError: BitScale refused to tell.
    """
    run = None if outcome.data is None else parse_run(outcome.data)
    label = f"run {run_id} of grid {grid_id}"
    if outcome.kind in (COMPLETED, FAILED) and run is not None:
        return run
    if outcome.kind == TIMED_OUT:
        seen = f"was last seen {run.reported_status}" if run else f"could not be seen ({outcome.error})"
        raise RunTimedOutError(f"{label} {seen} at the deadline; it may go on, and is paid for all the same")
    raise outcome.error or ValueError(f"{label}: an outcome without an error: {outcome}")


def completed_run(outcome: Outcome, grid_id: str, run_id: str) -> Run:
    """Return the run of an outcome, if it completed.

    :raises RunFailedError: BitScale reports it as failed.
    :raises BitScaleError: as :func:`ended_run`.
    """
    run = ended_run(outcome, grid_id, run_id)
    if outcome.kind == FAILED:
        raise RunFailedError(
            f"run {run_id} of grid {grid_id} failed: {run.error or 'BitScale gave no reason'}"
        )
    return run


def unended_run_id(run: Run, grid_id: str) -> str | None:
    """Return the id to poll a run by that a synchronous request was answered with; None if it has ended.

    :raises UnreadableAcceptanceError: it has not ended, and has no id to ask for it.
    """
    if run.status.is_terminal:
        return None
    if run.run_id is None:
        raise UnreadableAcceptanceError(
            f"the synchronous run of grid {grid_id} was answered as {run.reported_status!r}, without a run "
            f"id. {excerpt_of(run.raw)}"
        )
    return run.run_id


def completed_sync_run(run: Run, grid_id: str) -> Run:
    """Return the run that a synchronous request was answered with, if it completed.

    :raises RunFailedError: BitScale reports it as failed.
    :raises UnreadableAcceptanceError: it has not ended.
    """
    if run.status is RunStatus.FAILED:
        raise RunFailedError(f"the run of grid {grid_id} failed: {run.error or 'BitScale gave no reason'}")
    unended_run_id(run, grid_id)
    return run


def found_values(
    run: Run,
    miss_values: Collection[str],
    column_names: Mapping[str, str],
    input_columns: Collection[str] = (),
) -> dict[str, Any]:
    """Return the outputs of a run by column id; None for what stands for "nothing found".

    :param column_names: names by column id. An output under an id of no column is that of the column whose
        name came with it, if that has no output of its own.
    :param input_columns: ids of columns that have none.
    """
    outputs = run.outputs or {}
    free = {
        name: key for key, name in column_names.items() if key not in outputs and key not in input_columns
    }
    found = {}
    for key, value in outputs.items():
        column = key if key in column_names else free.pop(run.output_names.get(key, ""), key)
        found[column] = None if isinstance(value, str) and value.strip() in miss_values else value
    return found


def run_result(
    run: Run,
    *,
    grid_id: str,
    run_id: str | None,
    column_names: Mapping[str, str],
    input_columns: Collection[str] = (),
    miss_values: Collection[str] = (),
) -> dict[str, Any]:
    """Return a completed run as JSON, for XCom.

    :param run_id: None for a synchronous run that was answered when it had ended.
    :param column_names: names by column id; outputs of other columns keep their id as key.
    :param input_columns: ids of the columns that echo the row's inputs, which are neither filled nor missed.
    :param miss_values: texts that stand for "nothing found"; as outputs they become None.
    :return: ``{run_id, grid_id, status, outputs, filled_columns, missed_columns, credits: {consumed,
        remaining}, started_at, completed_at}``, times in ISO 8601; ``credits`` and times are None where the
        answer had none.
    """
    data = run.to_json()
    found = found_values(run, miss_values, column_names, input_columns)
    answers = [value for key, value in found.items() if key not in input_columns]
    missed = sum(map(is_blank, answers))
    return {
        "run_id": run_id,
        "grid_id": grid_id,
        "status": run.status.value,
        "outputs": {column_names.get(key, key): value for key, value in found.items()},
        "filled_columns": len(answers) - missed,
        "missed_columns": missed,
        "credits": data["credits"],
        "started_at": data["started_at"],
        "completed_at": data["completed_at"],
    }

"""Polls runs, and applies the answers to their rows."""

from __future__ import annotations

import logging
import random
import time

from airflow_provider_bitscale.api.error_answers import excerpt_of
from airflow_provider_bitscale.api.errors import AuthenticationError, BitScaleError, UnreadableAcceptanceError
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.brake import Trial
from airflow_provider_bitscale.batch.plan.error_policy import (
    PollAction,
    after_poll,
    has_result,
    is_understood,
)
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.row_result import UNKNOWN, RowResult
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.runs.outcome import Outcome
from airflow_provider_bitscale.runs.poll_history import PollHistory
from airflow_provider_bitscale.runs.poll_loop import odd_status
from airflow_provider_bitscale.runs.polling import RunDecision, Wait

log = logging.getLogger(__name__)

# After a poll that found nothing out; longer where BitScale asks, and the longer that lasts.
POLL_AGAIN_SECONDS = 5.0


class Polls:
    """All polls of the runs of one batch."""

    def __init__(self, batch: RunningBatch) -> None:
        self._batch = batch
        # Unknown statuses that are in the log.
        self._odd: set[str] = set()

    async def poll(self, row: BatchRow) -> None:
        """Poll the run of a row, with a slot that has been taken."""
        batch, request, plan = self._batch, self._batch.request, self._batch.plan
        run_id = str(row.run_id)
        try:
            seen: Run | BitScaleError = await batch.client.send_now(
                lambda contract: contract.get_run(request.grid_id, run_id)
            )
        except BitScaleError as error:
            seen = error
        now = time.monotonic()
        plan.outage.note(seen, now)
        if row.state is not State.POLLING:
            # Meanwhile it turned out that its run belongs to another row, too.
            return
        if row.run_id != run_id:
            # Meanwhile another run of this row was delivered, which counts now.
            batch.apply(row, Event.NOT_ENDED)
            return
        if is_understood(seen, run_id):
            plan.brake.note_understood(ended=isinstance(seen, Run) and has_result(seen))
        lasting = self._lasting(row, seen, now)
        give_up_at = min(batch.submitted_at(row) + request.timeout, request.deadline)
        decision = RunDecision(give_up_at, POLL_AGAIN_SECONDS, run_id)
        step = decision.after(seen, time.time(), random.random(), lasting)  # noqa: S311
        names_it = isinstance(seen, Run) and seen.run_id in (None, run_id)
        shown = seen if names_it or isinstance(seen, BitScaleError) else f"a run {seen.run_id!r} in its place"
        if (trial := plan.brake.judge_trial(row.number, shown, lasting)) is not None:
            self._end_trial(row, trial, shown)
        else:
            self._follow(row, seen, step)

    def _lasting(self, row: BatchRow, seen: Run | BitScaleError, now: float) -> float:
        """Return the seconds for which polls have shown the same; log an unknown status that lasts."""
        row.history = row.history or PollHistory()
        lasting = row.history.lasting(seen, now)
        if isinstance(seen, AuthenticationError):
            return self._batch.plan.outage.key_refused_for
        if (
            isinstance(seen, Run)
            and seen.status is RunStatus.UNKNOWN
            and seen.reported_status not in self._odd
            and (odd := odd_status(seen, lasting)) is not None
        ):
            self._odd.add(seen.reported_status)
            log.warning("%s", odd)
        return lasting

    def _end_trial(self, row: BatchRow, trial: Trial, seen: object) -> None:
        """Stop the batch: the id of the first run was not as documented, and no poll finds a run by it."""
        error = UnreadableAcceptanceError(
            f"run {row.run_id!r} was accepted and is paid for, but the answer was not as documented "
            f"({'; '.join(trial.unexpected)}), and no poll of the run was understood: {seen}"
        )
        self._give_up(row, str(error))
        self._batch.stop("unreadable_answers", error)

    def _follow(self, row: BatchRow, seen: Run | BitScaleError, step: Wait | Outcome) -> None:
        batch = self._batch
        action = after_poll(seen, step, time_is_up=time.time() >= batch.request.deadline)
        if action is PollAction.ENDED and isinstance(seen, Run):
            batch.end(row, seen, row.run_id)
        elif action is PollAction.NOT_ENDED and isinstance(step, Wait):
            under_way = isinstance(seen, Run) and not seen.status.is_terminal
            batch.apply(row, Event.NOT_ENDED, not_before=0.0 if under_way else step.seconds)
        elif action is PollAction.LEFT:
            batch.apply(row, Event.LEFT)
        elif action in (PollAction.SLOW, PollAction.LOST) and isinstance(step, Outcome):
            last_seen = step.error or (_described(seen) if isinstance(seen, Run) else seen)
            self._give_up(row, f"given up: last seen {last_seen}")
            if batch.plan.brake.note_given_up(slow=action is PollAction.SLOW):
                batch.stop(
                    "unreadable_answers",
                    UnreadableAcceptanceError(
                        "runs were accepted and are paid for, but their ends are not understood; "
                        f"the last: run {row.run_id!r}: {last_seen}"
                    ),
                )
        elif isinstance(seen, BitScaleError):
            batch.apply(row, Event.NOT_ENDED, not_before=POLL_AGAIN_SECONDS)
            batch.abort(seen)

    def _give_up(self, row: BatchRow, why: str) -> None:
        self._batch.apply(row, Event.GIVEN_UP, result=RowResult(UNKNOWN, row.run_id, error=why))


def _described(run: Run) -> str:
    """Return the status of a run, with an excerpt of the answer where the status is not known."""
    known = run.status is not RunStatus.UNKNOWN
    return run.reported_status if known else f"{run.reported_status!r}. {excerpt_of(run.raw)}"

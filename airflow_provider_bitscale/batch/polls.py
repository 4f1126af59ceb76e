"""Looks at runs, and does what follows from what is seen."""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict

from airflow_provider_bitscale.api.error_answers import excerpt_of
from airflow_provider_bitscale.api.errors import (
    AuthenticationError,
    BitScaleError,
    UnreadableAcceptanceError,
)
from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.batch.plan.brake import Trial
from airflow_provider_bitscale.batch.plan.error_policy import (
    PollAction,
    after_poll,
    has_result,
    is_understood,
)
from airflow_provider_bitscale.batch.row_result import UNKNOWN, RowResult
from airflow_provider_bitscale.batch.running import RunningBatch
from airflow_provider_bitscale.runs.poll_loop import odd_status
from airflow_provider_bitscale.runs.polling import Outcome, RunDecision, Wait
from airflow_provider_bitscale.runs.sights import Sights

log = logging.getLogger(__name__)

# After a look that saw nothing; longer where BitScale asks, and the longer that lasts.
POLL_AGAIN_SECONDS = 5.0


class Polls:
    """All looks at the runs of one batch."""

    def __init__(self, batch: RunningBatch) -> None:
        self._batch = batch
        self._sights: defaultdict[int, Sights] = defaultdict(Sights)
        # Statuses that are not known, and were told.
        self._odd: set[str] = set()

    async def poll(self, row: int) -> None:
        """Look at the run of a row, with a slot that has been taken."""
        request, plan, segments = self._batch.request, self._batch.plan, self._batch.segments
        run_id = segments.run_id(row)
        try:
            seen: Run | BitScaleError = await self._batch.client.send_now(
                lambda contract: contract.get_run(request.grid_id, run_id)
            )
        except BitScaleError as error:
            seen = error
        now = time.monotonic()
        plan.outage.note(seen, now)
        if not plan.is_watched(row):
            # Meanwhile it was given up.
            return
        if segments.run_id(row) != run_id:
            # Meanwhile another run of this row was delivered, which counts now.
            plan.not_ended(row, now)
            return
        if is_understood(seen, run_id):
            plan.brake.understood(ended=isinstance(seen, Run) and has_result(seen))
        lasting = self._sights[row].lasting(seen, now)
        if isinstance(seen, AuthenticationError):
            lasting = plan.outage.key_refused_for
        elif (
            isinstance(seen, Run)
            and seen.reported_status not in self._odd
            and (odd := odd_status(seen, lasting)) is not None
        ):
            self._odd.add(seen.reported_status)
            log.warning("%s", odd)
        give_up_at = min(self._batch.submitted_at(row) + request.timeout, request.deadline)
        decision = RunDecision(give_up_at, POLL_AGAIN_SECONDS, run_id)
        step = decision.after(seen, time.time(), random.random(), lasting)  # noqa: S311
        names_it = isinstance(seen, Run) and seen.run_id in (None, run_id)
        told = seen if names_it or isinstance(seen, BitScaleError) else f"a run {seen.run_id!r} in its place"
        if (trial := plan.brake.failed_trial(row, told, lasting)) is not None:
            self._end_trial(trial, run_id, told)
            return
        self._follow(row, run_id, seen, step)

    def _end_trial(self, trial: Trial, run_id: str, seen: object) -> None:
        """Stop the batch, as the id of the first run was not told as documented, and no poll by it tells."""
        error = UnreadableAcceptanceError(
            f"run {run_id!r} was accepted and is paid for, but the answer was not as documented "
            f"({'; '.join(trial.unexpected)}), and no poll of the run was understood: {seen}"
        )
        self._give_up(trial.row, run_id, str(error))
        self._batch.stop("unreadable_answers", error)

    def _follow(self, row: int, run_id: str, seen: Run | BitScaleError, step: Wait | Outcome) -> None:
        batch, plan, now = self._batch, self._batch.plan, time.monotonic()
        fate = after_poll(seen, step, time_is_up=time.time() >= batch.request.deadline)
        if fate is PollAction.ENDED and isinstance(seen, Run):
            self._sights.pop(row, None)
            batch.end(row, seen, batch.settled_by(seen, run_id))
        elif fate is PollAction.NOT_ENDED and isinstance(step, Wait):
            under_way = isinstance(seen, Run) and not seen.status.is_terminal
            plan.not_ended(row, now, 0.0 if under_way else step.seconds)
        elif fate is PollAction.LEFT:
            plan.given_up(row)
        elif fate in (PollAction.SLOW, PollAction.LOST) and isinstance(step, Outcome):
            last_seen = step.error or (_described(seen) if isinstance(seen, Run) else seen)
            self._give_up(row, run_id, f"given up: last seen {last_seen}")
            if plan.brake.lost(slow=fate is PollAction.SLOW):
                batch.stop(
                    "unreadable_answers",
                    UnreadableAcceptanceError(
                        "runs were accepted and are paid for, but their ends are not understood; "
                        f"the last: run {run_id!r}: {last_seen}"
                    ),
                )
        elif isinstance(seen, BitScaleError):
            plan.not_ended(row, now, POLL_AGAIN_SECONDS)
            batch.abort(seen)

    def _give_up(self, row: int, run_id: str, why: str) -> None:
        self._sights.pop(row, None)
        self._batch.plan.given_up(row)
        self._batch.settle(row, RowResult(UNKNOWN, run_id, error=why))


def _described(run: Run) -> str:
    """The status of a run; with what else was answered where that may tell a person more than it tells us."""
    known = run.status is not RunStatus.UNKNOWN
    return run.reported_status if known else f"{run.reported_status!r}. {excerpt_of(run.raw)}"

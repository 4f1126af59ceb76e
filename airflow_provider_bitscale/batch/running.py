"""What the parts of a running batch share: its state, and how it takes in what happens to rows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.api.async_client import AsyncClient
from airflow_provider_bitscale.api.errors import BitScaleError, UnreadableAcceptanceError
from airflow_provider_bitscale.api.models import Run, RunRecipe, RunStatus
from airflow_provider_bitscale.batch.plan.batch_row import BatchRow, State
from airflow_provider_bitscale.batch.plan.lifecycle import Effect, Event
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, RowResult, unreadable_acceptance
from airflow_provider_bitscale.batch.store.journal_writer import JournalWriter
from airflow_provider_bitscale.batch.store.segments import Segments
from airflow_provider_bitscale.batch.store.sent_log import SentLog
from airflow_provider_bitscale.runs.options import Mode

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchRequest:
    """What is asked for each row.

    :param output_columns: ids; None for all.
    :param timeout: seconds from its submission until a run is given up.
    :param deadline: Unix seconds at which the batch is given up; infinite for never.
    :param max_failed: rows that may fail.
    :param outputs_of: the outputs of a completed run, by output name.
    :param webhook_url_of: where the run of a row is to be delivered; None for nowhere.
    :param expects_deliveries: whether deliveries come to this batch.
    :param trust_webhook: take a delivery for the result, rather than poll once more.
    """

    grid_id: str
    mode: Mode
    output_columns: list[str] | None
    recipe: RunRecipe | None
    timeout: float
    deadline: float
    max_failed: int
    resubmit_ambiguous: bool
    outputs_of: Callable[[Run], dict[str, Any]]
    webhook_url_of: Callable[[int], str | None]
    expects_deliveries: bool
    trust_webhook: bool

    @property
    def results_come(self) -> bool:
        """Whether results come by themselves, without a poll of each run."""
        return self.mode == "sync" or (self.expects_deliveries and self.trust_webhook)


class RunningBatch:
    """One try of a batch, while it runs."""

    def __init__(
        self,
        request: BatchRequest,
        client: AsyncClient,
        plan: Scheduler,
        segments: Segments,
        journal_writer: JournalWriter,
        sent_log: SentLog,
    ) -> None:
        self.request = request
        self.client = client
        self.plan = plan
        self.segments = segments
        self.journal_writer = journal_writer
        self.sent_log = sent_log
        self.under_way: set[asyncio.Task[None]] = set()
        self.happened = asyncio.Event()
        self.error: BaseException | None = None
        self.aborted = False
        # A run that belongs to two rows is the result of neither.
        self._row_of_run: dict[str, int] = {}

    def apply(
        self,
        row: BatchRow,
        event: Event,
        *,
        run_id: str | None = None,
        result: RowResult | None = None,
        took: float | None = None,
        not_before: float = 0.0,
    ) -> None:
        """Change the state of a row, see :meth:`Scheduler.apply`, and write down what follows."""
        transition = self.plan.apply(
            row, event, time.monotonic(), run_id=run_id, result=result, took=took, not_before=not_before
        )
        writer, sent_log = self.journal_writer, self.sent_log
        for effect in transition.written:
            match effect:
                case Effect.WRITE_ENTRY:
                    writer.note(row.segment, row.position, row.entry)
                case Effect.WRITE_RESULT:
                    if (known := row.result or row.fallback) is not None:
                        writer.add_result(row.segment, row.position, known)
                case Effect.LOG_ACCEPTED:
                    sent_log.accepted(row.number, str(row.run_id))
                case Effect.LOG_ANSWERED:
                    sent_log.answered(row.number)
                case Effect.LOG_NOT_PROCESSED:
                    sent_log.not_processed(row.number)
                case Effect.COUNT:
                    self.segments.count(row)
                    self.stop_if_too_many_failed()
                case Effect.FINISH:
                    if self.segments.finish(row):
                        self.start(self._write_segment(row.segment))

    def stop_if_too_many_failed(self) -> None:
        """Submit no more once more rows have failed than may."""
        tally = self.segments.tally
        if tally.failed > self.request.max_failed and tally.stopped_by != "max_failed_rows":
            self.stop("max_failed_rows")

    def claim(self, row: BatchRow, run_id: str) -> bool:
        """Note that this run is of this row, before anything follows from that.

        :return: False if it is of another row, too. Then both are unknown, and no more rows are submitted.
        """
        other = self._row_of_run.setdefault(run_id, row.number)
        if other == row.number:
            return True
        error = UnreadableAcceptanceError(
            f"run {run_id!r} was told for two rows, {other + 1:,} and {row.number + 1:,}: it cannot be of "
            "both"
        )
        log.error("No more rows are submitted: %s", error)
        for number in (row.number, other):
            self._disown(number, error)
        self.stop("unreadable_answers", error)
        return False

    def end(self, row: BatchRow, run: Run, run_id: str | None) -> None:
        """Give a row the end of its run."""
        credits = run.credits.consumed if run.credits else None
        if run.status is RunStatus.COMPLETED:
            result = RowResult(SUCCEEDED, run_id, credits, outputs=self.request.outputs_of(run))
        else:
            result = RowResult(FAILED, run_id, credits, run.error or "BitScale gave no reason")
        self.apply(row, Event.ENDED, result=result, took=self._length(row, run))

    def submitted_at(self, row: BatchRow) -> float:
        """Return when the row's run was submitted, or taken over from an earlier try, in Unix seconds."""
        return time.time() - (time.monotonic() - row.since)

    def stop(self, reason: str, cause: BitScaleError | None = None) -> None:
        """Submit no more, for a reason as in the manifest, and an answer as its cause, if it was one."""
        self.segments.tally.stop(reason, cause)
        self.stop_submitting()

    def stop_submitting(self) -> None:
        """Submit no more; what is in flight is collected."""
        for row in self.plan.stop():
            self.apply(row, Event.RETRACTED)
        self.happened.set()

    def give_up_submitting(self, error: BaseException) -> None:
        """Submit no more, collect what is in flight, then raise the error."""
        self.error = self.error or error
        self.stop_submitting()

    def abort(self, error: BaseException) -> None:
        """Nothing can be asked any more."""
        self.give_up_submitting(error)
        self.aborted = True

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let this go on beside everything else."""
        task = asyncio.create_task(work)
        self.under_way.add(task)
        task.add_done_callback(self.work_ended)

    def work_ended(self, task: asyncio.Task[None]) -> None:
        """Take in the end of what went on beside everything else."""
        self.under_way.discard(task)
        self.happened.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.abort(error)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until something has happened, or this many seconds have passed."""
        timer = asyncio.get_running_loop().call_later(seconds, self.happened.set)
        try:
            await self.happened.wait()
        finally:
            timer.cancel()
        self.happened.clear()

    def _disown(self, number: int, error: UnreadableAcceptanceError) -> None:
        """See to it that no retry polls the run of this row, or submits the row."""
        row = self.segments.find(number)
        if row is None or self.segments.is_finished(row.segment):
            log.error("Row %d is written already, with a result that may be of another row", number + 1)
            return
        if row.state is State.DONE:
            self.segments.count(row, -1)
        self.apply(row, Event.DISOWNED, result=unreadable_acceptance(str(error)))

    def _length(self, row: BatchRow, run: Run) -> float | None:
        """Return the seconds from its submission to its end, as BitScale reports them: in whole seconds."""
        if run.completed_at is None:
            return None
        began = self.submitted_at(row)
        if run.started_at is not None:
            # An earlier try has submitted what this one has only taken over.
            began = min(began, run.started_at.timestamp())
        return run.completed_at.timestamp() + 1.0 - began

    async def _write_segment(self, number: int) -> None:
        await self.segments.write(number)
        self.journal_writer.changed()

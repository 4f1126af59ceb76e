"""What the parts of a running batch share: its state, and the ways in which it and its rows end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.models import Run, RunStatus
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.prefetch import Prefetch
from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, RowResult
from airflow_provider_bitscale.batch.run_ids import RunIds
from airflow_provider_bitscale.batch.store.journal_writer import JournalWriter
from airflow_provider_bitscale.batch.store.segments import Segments
from airflow_provider_bitscale.batch.store.sent_log import SentLog

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.async_client import AsyncClient
    from airflow_provider_bitscale.api.errors import BitScaleError
    from airflow_provider_bitscale.api.models import RunRecipe


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
    :param trust_webhook: take a delivery for the result, rather than look once more.
    """

    grid_id: str
    mode: str
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
        """Whether results come by themselves, without a look at each run."""
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
        self.prefetch = Prefetch(
            plan,
            segments,
            journal_writer,
            finished=lambda number: self.start(self._put_away(number)),
            happened=self.happened,
        )
        self.error: BaseException | None = None
        self.aborted = False
        self.run_ids = RunIds()

    def submitted_at(self, row: int) -> float:
        """When the row's run was submitted, or taken over from an earlier try, in Unix seconds."""
        return time.time() - self.plan.age(row, time.monotonic())

    def settled_by(self, run: Run, run_id: str | None) -> RowResult:
        """What a run that has ended makes of its row."""
        credits = run.credits.consumed if run.credits else None
        if run.status is RunStatus.COMPLETED:
            return RowResult(SUCCEEDED, run_id, credits, outputs=self.request.outputs_of(run))
        return RowResult(FAILED, run_id, credits, run.error or "BitScale gave no reason")

    def accepted(self, row: int, run_id: str) -> None:
        """BitScale accepted the row's run."""
        self.segments.accepted(row, run_id)
        self.journal_writer.changed()
        self.sent_log.accepted(row, run_id)

    def answered(self, row: int, settled: RowResult) -> None:
        """The row's run was answered with its result, and cannot be asked for again."""
        self.journal_writer.answered(*self.segments.place(row), settled)
        self.sent_log.answered(row)

    def refused(self, row: int, settled: RowResult) -> None:
        """The row is refused, and no run was started."""
        self.journal_writer.answered(*self.segments.place(row), settled)
        self.sent_log.not_processed(row)

    def end(self, row: int, run: Run, settled: RowResult) -> None:
        """The row's run has ended."""
        credits = None if settled.is_untold else settled.credits or 0
        self.plan.ended(row, time.monotonic(), credits, self._length(row, run))
        self.settle(row, settled)

    def settle(self, row: int, settled: RowResult) -> None:
        """What has become of a row is known, and its segment is put away with its last one."""
        finished = self.segments.settle(row, settled)
        if finished is not None:
            self.start(self._put_away(finished))

    def stop(self, reason: str, cause: BitScaleError | None = None) -> None:
        """Submit no more; what is in flight is collected.

        :param reason: as in the manifest.
        :param cause: the answer behind it, where it was one.
        """
        self.segments.tally.stop(reason, cause)
        self.prefetch.stop()

    def give_up_submitting(self, error: BaseException) -> None:
        """Something is wrong: submit no more, collect what is in flight, then raise."""
        self.error = self.error or error
        self.prefetch.stop()

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
        """Something that went on beside everything else has ended."""
        self.under_way.discard(task)
        self.happened.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.abort(error)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until something has happened, for so many seconds at most."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.happened.wait(), seconds)
        self.happened.clear()

    def _length(self, row: int, run: Run) -> float | None:
        """Seconds from its submission to its end, as BitScale tells them: in whole seconds."""
        if run.completed_at is None:
            return None
        began = self.submitted_at(row)
        if run.started_at is not None:
            # An earlier try has submitted what this one has only taken over.
            began = min(began, run.started_at.timestamp())
        return run.completed_at.timestamp() + 1.0 - began

    async def _put_away(self, number: int) -> None:
        await self.segments.put_away(number)
        self.journal_writer.changed()

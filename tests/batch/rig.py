"""A batch in memory: everything is real but the client, whose answers a test gives."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from airflow_provider_bitscale.api.async_client import AsyncClient
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.batch.inbox import Inbox
from airflow_provider_bitscale.batch.plan.batch_row import BatchRow
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler, SubmitRow
from airflow_provider_bitscale.batch.polls import Polls
from airflow_provider_bitscale.batch.prefetch import Prefetch
from airflow_provider_bitscale.batch.running import BatchRequest, RunningBatch
from airflow_provider_bitscale.batch.store.journal import Journal
from airflow_provider_bitscale.batch.store.journal_writer import JournalWriter
from airflow_provider_bitscale.batch.store.segment_records import Records
from airflow_provider_bitscale.batch.store.segments import Segments
from airflow_provider_bitscale.batch.store.sent_log import SentLog
from airflow_provider_bitscale.batch.submissions import Submissions
from airflow_provider_bitscale.batch.table.survey import Row, Segment
from airflow_provider_bitscale.batch.table.writers import RowsInMemory
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue, QueuedDelivery
from tests.batch.journals import BATCH, read
from tests.support.json_store import JsonStore

FOREVER = float("inf")
# What a request is answered with; a function is called while the request is on its way.
Answer: TypeAlias = "Run | Exception | Callable[[], Run | Exception]"


def a_run(status: str = "completed", run_id: str | None = "run_0", **fields: Any) -> Run:
    """A run as BitScale tells it; a completed one has an output, and cost 3 credits."""
    if status == "completed":
        fields = {"outputs": {"c-email": "e"}, "credits": {"consumed": 3, "remaining": 97}, **fields}
    return parse_run({"run_id": run_id, "status": status, **fields})


def a_delivery(row: int, run: Run) -> QueuedDelivery:
    """A run that has ended, delivered for a row."""
    return QueuedDelivery(row, run.raw)


class Client:
    """Answers one request after the other."""

    requests_per_second = None
    hints = Hints(None, "limit")

    def __init__(self, answers: Sequence[Answer] = ()) -> None:
        self.answers = deque(answers)
        self.requests = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def book_slot(self) -> float:
        return 0.0

    def take_slot(self) -> bool:
        return True

    def give_back_slots(self) -> None: ...

    async def send_now(self, build: Callable[..., Any]) -> Run:
        self.requests += 1
        await self.go_on.wait()
        answer = self.answers.popleft()
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class Lines(SentLog):
    """A log of what was sent, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def _write(self, line: str) -> None:
        self.lines.append(line)


class Queue:
    """Deliveries that have come."""

    has_read_pages = False

    def __init__(self) -> None:
        self.deliveries: list[QueuedDelivery] = []

    def collect(self) -> list[QueuedDelivery]:
        found, self.deliveries = self.deliveries, []
        return found


class Rig:
    """One try of a batch of rows in one segment.

    :param records: what an earlier try left.
    :param options: of the request, where they are not the usual ones.
    """

    def __init__(
        self,
        rows: int = 3,
        answers: Sequence[Answer] = (),
        *,
        records: Records | None = None,
        cap: float | None = None,
        proven: bool = True,
        client: Any = None,
        **options: Any,
    ) -> None:
        request = BatchRequest(
            **{
                "grid_id": "grid_001",
                "mode": "async",
                "output_columns": None,
                "recipe": None,
                "timeout": FOREVER,
                "deadline": FOREVER,
                "max_failed": 100,
                "resubmit_ambiguous": False,
                "outputs_of": lambda run: dict(run.outputs or {}),
                "webhook_url_of": lambda row: None,
                "expects_deliveries": False,
                "trust_webhook": True,
                **options,
            }
        )
        self.store, self.parts, self.queue = JsonStore(), RowsInMemory(), Queue()
        self.journal = Journal(self.store, BATCH, records)
        segment = Segment(0, tuple(Row(row, {"n": row}, {"c-n": row}, False) for row in range(rows)))
        parks = not request.expects_deliveries and not request.resubmit_ambiguous
        self.segments = Segments(
            rows, rows, iter([segment]), self.parts, self.journal, dict(records or {}), parks_ambiguous=parks
        )
        self.budget, self.brake = Budget(cap), Brake(proven=proven)
        self.plan = Scheduler(
            self.segments.unfinished,
            self.budget,
            self.brake,
            request.timeout,
            expects_deliveries=request.expects_deliveries,
        )
        # The key was good a moment ago.
        self.plan.outage.note(a_run(), time.monotonic())
        self.client, self.log = client or Client(answers), Lines()
        self.writer = JournalWriter(self.journal)
        self.batch = RunningBatch(
            request, cast(AsyncClient, self.client), self.plan, self.segments, self.writer, self.log
        )
        self.inbox = Inbox(self.batch, cast(DeliveryQueue, self.queue))
        self.prefetch = Prefetch(self.batch)
        self.submissions = Submissions(self.batch, self.inbox)
        self.polls = Polls(self.batch)

    def row(self, number: int = 0) -> BatchRow:
        row = self.segments.find(number)
        assert row is not None
        return row

    async def open(self) -> None:
        """Open the segment; what happens to its rows happens."""
        for row, event, run_id, result in await self.segments.open_next() or []:
            if event is not None:
                self.batch.apply(row, event, run_id=run_id, result=result)

    def make_ready(self, *numbers: int) -> None:
        """Their intent is durable."""
        for number in numbers:
            self.batch.apply(self.row(number), Event.ANNOUNCED)
            self.batch.apply(self.row(number), Event.DURABLE)

    async def submit(self, number: int = 0) -> BatchRow:
        """Submit a row to the end; it is made ready first if it is new."""
        row = self.row(number)
        if row.state.name == "NEW":
            self.make_ready(number)
        self.plan.begin(SubmitRow(row), time.monotonic())
        await self.submissions.submit(row)
        return row

    async def poll(self, number: int = 0) -> BatchRow:
        """Poll the run of a row."""
        row = self.row(number)
        self.batch.apply(row, Event.POLLED)
        await self.polls.poll(row)
        return row

    async def deliver(self, number: int, run: Run) -> BatchRow:
        """The end of a run is delivered for a row."""
        row = self.row(number)
        self.queue.deliveries.append(a_delivery(number, run))
        await self.inbox.collect()
        return row

    async def settle(self) -> None:
        """Wait for all that goes on beside, and make it durable."""
        while self.batch.under_way:
            await asyncio.wait(self.batch.under_way)
        await self.writer.write()

    def entries(self) -> list[str | None]:
        """What the store has of the rows."""
        return list(getattr(read(self.store)[0], "entries", []))

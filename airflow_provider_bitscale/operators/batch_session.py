"""One try of a batch: checked, run, and summed up."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from hashlib import sha256
from json import dumps
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.async_client import MAX_CONNECTIONS
from airflow_provider_bitscale.batch.options import allowed_failures, failures_to_go_on_with
from airflow_provider_bitscale.batch.plan.brake import Brake
from airflow_provider_bitscale.batch.plan.budget import Budget
from airflow_provider_bitscale.batch.plan.scheduler import Scheduler
from airflow_provider_bitscale.batch.progress import Tally
from airflow_provider_bitscale.batch.row_result import SUCCEEDED
from airflow_provider_bitscale.batch.runner import Runner
from airflow_provider_bitscale.batch.running import BatchRequest, RunningBatch
from airflow_provider_bitscale.batch.store.journal_writer import JournalWriter
from airflow_provider_bitscale.batch.store.segment_records import finished
from airflow_provider_bitscale.batch.store.segments import Segments
from airflow_provider_bitscale.batch.store.sent_log import SentLogs
from airflow_provider_bitscale.batch.store.takeover import Begun, begin, collected_records
from airflow_provider_bitscale.batch.store.unsaved_changes import UnsavedChanges
from airflow_provider_bitscale.batch.table.earlier_rows import EarlierRows, UnknownRows
from airflow_provider_bitscale.batch.table.manifest import ReadOptions
from airflow_provider_bitscale.batch.table.mapping import InputMapping, RowMapping
from airflow_provider_bitscale.batch.table.survey import read_segments, survey
from airflow_provider_bitscale.batch.table.writers import Output, RowsInMemory
from airflow_provider_bitscale.operators.batch_ending import ending_of, failure_of, manifest_of, summary_of
from airflow_provider_bitscale.operators.batch_input import log_fields, log_input, source_of
from airflow_provider_bitscale.operators.batch_report import Reporter
from airflow_provider_bitscale.operators.batch_start import take_up
from airflow_provider_bitscale.operators.batch_thread import run_in_thread
from airflow_provider_bitscale.operators.store_path import stored
from airflow_provider_bitscale.operators.task_state import address_of, store_of, try_of
from airflow_provider_bitscale.runs.grid_schema import GridSchema
from airflow_provider_bitscale.runs.outputs import output_names, outputs_reader
from airflow_provider_bitscale.webhooks.callback_token import queue_key
from airflow_provider_bitscale.webhooks.callback_url import CallbackUrl
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.batch.options import BatchOptions
    from airflow_provider_bitscale.batch.plan.verdict import Ending
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

log = logging.getLogger(__name__)

MAX_ROWS_IN_XCOM = 1000
# A synchronous run holds a connection for as long as it takes.
SYNC_CONNECTIONS = 500


class BatchSession:
    """Checks everything when it is made, and spends nothing before :meth:`run`.

    :raises BitScaleError: naming everything that is wrong with the rows or the options.
    """

    def __init__(self, options: BatchOptions, hook: BitScaleHook, context: Context, started: float) -> None:
        self._options = options
        self._hook = hook
        self._context = context
        self._started = started
        self._store = store_of(context)
        source = source_of(options)
        # Rows that are only collected are of runs that an earlier batch has submitted.
        self._collects = isinstance(source, UnknownRows)
        self._receiver = (
            None if self._collects else CallbackUrl.of(options.webhook_url, hook, trust=options.trust_webhook)
        )
        if unsupported := options.unsupported(hook.client.contract):
            raise errors.UnsupportedError(unsupported)
        # Fields are matched to inputs by their names: a new input must not go without, for many rows.
        self._schema = GridSchema.fetch(
            hook.client, options.grid_id, options.output_columns, validate=True, anew=True
        )
        self._schema_fetched_at = time.monotonic()
        # What came from an earlier batch is read as it was read there.
        earlier = source.manifest if isinstance(source, EarlierRows) else {}
        self._read_options = read_options = ReadOptions.of(options.input_fields, options.null_values, earlier)
        mapping: RowMapping = (
            RowMapping()
            if self._collects
            else InputMapping(self._schema, read_options.inputs, options.row_key, read_options.null_values)
        )
        log.info("Checking all rows before anything is paid for")
        self._survey = survey(source, mapping, options.segment_size, tell_fields=partial(log_fields, mapping))
        log.info("Checked %s rows in %.1f s", f"{self._survey.rows:,}", time.time() - started)
        names = output_names(self._schema)
        log_input(source, mapping, self._survey, self._schema, names)
        if options.output_path is None and self._survey.rows > MAX_ROWS_IN_XCOM:
            raise errors.InvalidRequestError(
                f"{self._survey.rows:,} rows are too many to be returned by a task: set output_path"
            )
        self._read_segments = partial(read_segments, source, mapping, options.segment_size, self._survey)
        self._batch, self._goes_on = take_up(
            self._store, options, self._fingerprint(), try_of(context), started, self._delivery_conn_id, names
        )
        self._output = self._checked_output()
        self._cancelled = False
        self._driving: tuple[asyncio.AbstractEventLoop, Runner] | None = None
        self._tally = Tally()

    def run(self) -> dict[str, Any]:
        """Run the batch, and return its manifest."""
        options, survey = self._options, self._survey
        begins = "Going on with" if self._goes_on else "Collecting" if self._collects else "Running"
        about = (
            f"{begins} batch {self._batch.batch_id}: {survey.rows:,} rows, {survey.duplicates:,} of them "
            f"duplicates, on grid {self._schema.grid.name or options.grid_id}"
        )
        log.log(logging.INFO if survey.rows else logging.WARNING, "%s", about)
        output = self._output
        memory = RowsInMemory()
        unsaved = UnsavedChanges(self._batch.batch_id, output, options.segment_size)
        begun = begin(
            self._store,
            self._batch,
            options.segment_size,
            collected_records(self._read_segments()) if self._collects else {},
            SentLogs(self._batch.batch_id),
            unsaved,
        )
        segments = Segments(
            self._survey.rows,
            options.segment_size,
            self._read_segments(finished=finished(begun.records)),
            output or memory,
            begun.journal,
            begun.records,
            parks_ambiguous=self._receiver is None and not options.resubmit_ambiguous,
        )
        self._tally = tally = segments.tally
        try:
            self._drive(segments, begun, unsaved)
            rows_left = segments.write_the_rest(f"the batch was stopped by {tally.stopped_by}")
            if tally.stopped_by == "deadline" and not rows_left:
                # The last polls found every run ended.
                tally.stopped_by = None
        finally:
            segments.close()
            begun.sent_log.close()
        manifest = manifest_of(self._batch, options.grid_id, self._survey.rows, tally, self._read_options)
        if output is None:
            manifest["results"] = memory.rows
        else:
            manifest["manifest_path"] = output.manifest_path
            output.write_manifest(manifest)
        if self._ending.missing:
            log.warning("%s", self._ending)
        log.info("%s", summary_of(manifest))
        return manifest

    def failure(self, manifest: dict[str, Any]) -> errors.BitScaleError | None:
        """Return the error that the task fails with; None if enough rows succeeded."""
        ending = self._ending
        verdict = ending.verdict(fail_when_incomplete=self._options.fail_when_incomplete)
        return failure_of(verdict, ending, self._tally, manifest)

    @property
    def _ending(self) -> Ending:
        return ending_of(self._tally, allowed_failures(self._options.max_failed_rows, self._survey.rows) or 0)

    def cancel(self) -> None:
        """End early, or do not begin; from a signal handler. What is known is written down."""
        self._cancelled = True
        if self._driving is not None:
            loop, runner = self._driving
            # The loop may have been closed a moment ago.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(runner.kill)

    def _drive(self, segments: Segments, begun: Begun, unsaved: UnsavedChanges) -> None:
        options, tally = self._options, segments.tally
        connections = MAX_CONNECTIONS
        max_in_flight = options.max_in_flight
        expects_deliveries = self._receiver is not None
        if options.mode == "sync":
            connections = max_in_flight = min(max_in_flight or SYNC_CONNECTIONS, SYNC_CONNECTIONS)
        cap = None if options.max_credits is None else float(options.max_credits)
        budget = Budget(cap, tally.credits, tally.unknown_costs)
        plan = Scheduler(
            segments.unfinished,
            budget,
            Brake(max_in_flight, proven=tally.counts[SUCCEEDED] > 0),
            options.run_timeout,
            expects_deliveries=expects_deliveries,
        )
        # The key was good then: one refusal may be a hiccup.
        plan.outage.note(self._schema.grid, self._schema_fetched_at)
        request = BatchRequest(
            grid_id=options.grid_id,
            mode=options.mode,
            output_columns=self._schema.output_columns,
            recipe=self._schema.recipe,
            timeout=options.run_timeout,
            deadline=float("inf") if options.batch_timeout is None else self._started + options.batch_timeout,
            max_failed=failures_to_go_on_with(options.max_failed_rows, self._survey.rows),
            resubmit_ambiguous=options.resubmit_ambiguous,
            outputs_of=outputs_reader(self._schema, options.miss_values),
            webhook_url_of=self._webhook_url_of,
            expects_deliveries=expects_deliveries,
            trust_webhook=options.trust_webhook,
        )
        delivery_queue = DeliveryQueue(self._store, self._queue_key) if expects_deliveries else None

        async def drive() -> None:
            async with self._hook.batch_client(connections) as client:
                runner = Runner(
                    RunningBatch(
                        request, client, plan, segments, JournalWriter(begun.journal), begun.sent_log
                    ),
                    connections=connections,
                    report=Reporter(self._store, tally),
                    leave=partial(unsaved.leave, begun.token),
                    delivery_queue=delivery_queue,
                )
                self._driving = asyncio.get_running_loop(), runner
                if not self._cancelled:
                    await runner.run()

        run_in_thread(drive, self.cancel)
        if self._cancelled:
            raise AirflowException(
                f"killed with {plan.in_flight:,} runs under way; they go on, and a retry collects them"
            )

    def _webhook_url_of(self, row: int) -> str | None:
        if self._receiver is None:
            return self._options.webhook_url
        return self._receiver.addressed_to(
            address_of(self._context, self._queue_key, self._options.bitscale_conn_id), row
        )

    @property
    def _delivery_conn_id(self) -> str | None:
        return None if self._receiver is None else self._options.bitscale_conn_id

    @property
    def _queue_key(self) -> str:
        return queue_key(self._batch.batch_id)

    def _checked_output(self) -> Output | None:
        batch = self._batch
        if batch.output_path is None:
            return None
        output = Output(
            stored(batch.output_path),
            batch.output_format,
            batch.batch_id,
            fields=self._survey.fields,
            output_names=batch.output_names,
            escape_formulas=batch.escapes_formulas,
        )
        output.check()
        return output

    def _fingerprint(self) -> str:
        options, config = self._options, self._hook.config
        bought = options.request.fingerprint(config.base_url, config.workspace_id)
        read = [
            self._collects,
            self._read_options.inputs,
            options.row_key,
            sorted(self._read_options.null_values),
            options.segment_size,
            self._survey.fingerprint,
        ]
        return sha256(dumps([bought, read], sort_keys=True).encode()).hexdigest()

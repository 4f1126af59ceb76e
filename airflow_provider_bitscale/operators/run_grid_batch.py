"""Runs a grid on a whole table in one task, and pays for each row once."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_bitscale.batch.options import BatchOptions, OnAmbiguousRow
from airflow_provider_bitscale.batch.table.storage import OutputFormat
from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.links import BitScaleGridLink, BitScaleResultLink
from airflow_provider_bitscale.operators.hook_mixin import HookMixin
from airflow_provider_bitscale.operators.rendered import arguments, options_of, refuse
from airflow_provider_bitscale.runs.options import Mode, seconds
from airflow_provider_bitscale.runs.undefined import GivenArguments

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_bitscale.operators.batch_session import BatchSession


class RunGridBatchOperator(HookMixin, BaseOperator):
    """Runs a grid on each row of a table, as fast as the rate limit allows.

    No row is paid for twice: what is about to be submitted and each run's id are kept in the task's state
    store, and a retry goes on from there. Rows that an earlier try lost between request and answer end as
    ``unknown``, unless a delivery tells of them. All rows are checked before the first is paid for. The
    worker is held until the end; chunks of a larger table can be mapped over several workers, which share the
    rate limit.

    A batch that reaches ``max_credits`` succeeds, with a warning: rows it left out are counted as
    ``not_submitted``, and ``retry_failed_from`` runs them another day. A task whose rows are missing for
    another reason, or of which none succeeded, fails; what was found is kept.

    :param grid_id: id of the grid. (templated)
    :param rows: a list of dicts. (templated; what comes through XCom is data, and is not rendered again)
    :param rows_path: or a file of them, ``.csv``, ``.tsv``, ``.jsonl`` or ``.json``, on any store that
        ObjectStoragePath knows; read as a stream, twice. (templated)
    :param retry_failed_from: or the manifest of an earlier batch, to run the rows that failed or were not
        submitted; with ``on_ambiguous_submit="resubmit"`` also those that are unknown, unless BitScale
        accepted them. The log says how many unknown rows were left out, and why. (templated)
    :param collect_unknown_from: or the manifest of an earlier batch of the same grid, to ask again for rows
        that are ``unknown`` and whose run ids are known. Nothing is submitted or paid for; rows without a run
        id stay ``unknown``. (templated)
    :param output_path: folder for the parts and their manifest; None to return the rows, up to 1,000.
        (templated)
    :param input_fields: by name or id of an input, the *field* of a row that has its value (the values
        themselves are ``inputs``, in RunGridOperator); None to take those of the earlier batch, where the
        rows are from one, or the fields that are named like inputs.
    :param output_columns: names or ids of the columns wanted; None for all. (templated)
    :param row_key: field or fields that tell rows apart; later rows with the same are ``duplicate``.
    :param mode: ``async``, or ``sync``: one request a row, but a row that is lost with the worker is unknown.
    :param webhook_url: public https URL where BitScale shall deliver each finished run; async only. If it is
        that of Airflow's receiver for this connection, deliveries are awaited: runs are polled when theirs
        has come, and only seldom before; and a row that was lost between request and answer is settled by its
        delivery. (templated)
    :param trust_webhook: take a delivery for the result, rather than poll once more: one request a row.
    :param max_credits: submit only as long as the credits spent, by this and earlier tries, and expected
        for what is in flight stay below. (templated)
    :param max_failed_rows: rows that may fail, as a number or like ``"10%"``; with more, the task fails.
        Submitting stops as soon as a number is exceeded; a share, once ten rows have failed at least.
    :param fail_when_incomplete: fail where rows are ``unknown``, or not submitted because credits or the
        quota ran out. A retry asks again for rows whose run ids are known, at no cost; if there are none, the
        task fails without retries. False to succeed, with a warning, as long as any row succeeded.
    :param max_in_flight: runs that may be under way at once; None for as many as is useful.
    :param run_timeout: seconds from its submission, or from when a retry takes it over, until a run is given
        up as ``unknown``.
    :param batch_timeout: seconds from the start of a try until it stops submitting, polls each run once more,
        and fails if any is left; a retry goes on. None for none.
    :param segment_size: rows in a part, up to 1,000.
    :param output_format: ``jsonl`` or ``csv``. All CSV parts of a batch have one header: the fields of the
        rows, then ``output_names`` in their order, then ``_status``, ``_run_id``, ``_credits``, ``_error``.
    :param csv_escape_formulas: put an apostrophe before cells of CSV that a spreadsheet would run: those that
        begin with ``=``, ``+``, ``-``, ``@`` (in full width, too), whatever blanks are before it, a tab or a
        carriage return, except numbers such as -5.
        ``retry_failed_from`` takes it away again.
    :param null_values: texts of rows that stand for no value; None to take those of the earlier batch, where
        the rows are from one, or what databases and spreadsheets write for NULL and for errors. Words that
        may mean nothing, such as NULL, NA or ``-``, are sent as they are, with a warning: people are called
        Null. Blank cells never count as a value.
    :param miss_values: texts such as "No email found" that stand for nothing found; they become None.
    :param on_ambiguous_submit: ``park`` a row as ``unknown`` if it is not known whether its run was started,
        or ``resubmit`` it and perhaps pay twice.
    :param bitscale_conn_id: id of a connection of type ``bitscale``. (templated)
    :return: the manifest: ``{batch_id, grid_id, rows, counts: {succeeded, failed, unknown, not_submitted,
        duplicate}, credits, runs_without_credits, stopped_by, parts, manifest_path, format, inputs,
        null_values, csv_escape_formulas, output_names, started_at, finished_at, seconds}``, and without
        ``output_path`` its ``results``: the fields and outputs of each row with ``_status``, ``_run_id``,
        ``_credits`` and ``_error``.
    """

    template_fields: Sequence[str] = (
        "grid_id",
        "rows",
        "rows_path",
        "retry_failed_from",
        "collect_unknown_from",
        "output_path",
        "output_columns",
        "webhook_url",
        "max_credits",
        "bitscale_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"rows": "json", "output_columns": "json"}
    operator_extra_links = (BitScaleResultLink(), BitScaleGridLink())
    ui_color = "#e8f0ff"

    def __init__(
        self,
        *,
        grid_id: str,
        rows: list[dict[str, Any]] | None = None,
        rows_path: str | ObjectStoragePath | None = None,
        retry_failed_from: str | ObjectStoragePath | None = None,
        collect_unknown_from: str | ObjectStoragePath | None = None,
        output_path: str | ObjectStoragePath | None = None,
        input_fields: dict[str, str] | None = None,
        output_columns: list[str] | None = None,
        row_key: str | list[str] | None = None,
        mode: Mode = "async",
        webhook_url: str | None = None,
        trust_webhook: bool = False,
        max_credits: float | None = None,
        max_failed_rows: int | str = "10%",
        fail_when_incomplete: bool = True,
        max_in_flight: int | None = None,
        run_timeout: float | timedelta = 3600,
        batch_timeout: float | timedelta | None = None,
        segment_size: int = 500,
        output_format: OutputFormat = "jsonl",
        csv_escape_formulas: bool = False,
        null_values: Collection[str] | None = None,
        miss_values: Collection[str] = (),
        on_ambiguous_submit: OnAmbiguousRow = "park",
        bitscale_conn_id: str = "bitscale_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.grid_id = grid_id
        self.rows = rows
        self.rows_path = rows_path
        self.retry_failed_from = retry_failed_from
        self.collect_unknown_from = collect_unknown_from
        self.output_path = output_path
        self.input_fields = input_fields
        self.output_columns = output_columns
        self.row_key = row_key
        self.mode = mode
        self.webhook_url = webhook_url
        self.trust_webhook = trust_webhook
        self.max_credits = max_credits
        self.max_failed_rows = max_failed_rows
        self.fail_when_incomplete = fail_when_incomplete
        self.max_in_flight = max_in_flight
        self.run_timeout: float = seconds(run_timeout)
        self.batch_timeout: float | None = seconds(batch_timeout)
        self.segment_size = segment_size
        self.output_format = output_format
        self.csv_escape_formulas = csv_escape_formulas
        self.null_values = null_values
        self.miss_values = miss_values
        self.on_ambiguous_submit = on_ambiguous_submit
        self.bitscale_conn_id = bitscale_conn_id
        self._given = GivenArguments(arguments(self))
        # What the last try wrote, for the link to it.
        self.manifest_path: str | None = None
        self._session: BatchSession | None = None
        self._killed = False
        refuse(options_of(BatchOptions, self).problems(rendered=False), of=self)
        # Only Airflow knows when a task has succeeded: what it returned may still fail to be stored.
        self.on_success_callback = [*self.on_success_callback, _remember_batch]

    def execute(self, context: Context) -> dict[str, Any]:
        """Run all rows, or go on with those that an earlier try has left."""
        # A DAG file that is parsed does not pay for what its tasks need when they run.
        from airflow_provider_bitscale.operators.batch_session import BatchSession

        with airflow_errors(self.bitscale_conn_id):
            options = options_of(BatchOptions, self)
            refuse(self._given.problems(arguments(self)) or options.problems())
            self._session = session = BatchSession(options, self.hook, context, time.time())
            if self._killed:
                session.cancel()
            manifest = session.run()
            self.manifest_path = manifest["manifest_path"]
            if (failure := session.failure(manifest)) is not None:
                # What a failed task returns is lost.
                context["ti"].xcom_push(key="manifest", value=manifest)
                raise failure
        return manifest

    def on_kill(self) -> None:
        """Submit no more, and write down what is known. BitScale cannot cancel runs: they go on and cost."""
        self._killed = True
        self.log.warning("Killed. What was submitted goes on and is paid for; a retry collects it.")
        if self._session is not None:
            self._session.cancel()


def _remember_batch(context: Context) -> None:
    from airflow_provider_bitscale.operators.batch_start import remember_batch

    remember_batch(context)

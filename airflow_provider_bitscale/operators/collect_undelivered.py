"""Collects runs that were submitted and forgotten, and whose delivery never came."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_bitscale.api.errors import ConfigurationError, NotFoundError
from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.links import BitScaleGridLink
from airflow_provider_bitscale.operators.hook_mixin import HookMixin
from airflow_provider_bitscale.operators.rendered import refuse
from airflow_provider_bitscale.runs.options import option_problems, seconds
from airflow_provider_bitscale.runs.outcome import COMPLETED, FAILED
from airflow_provider_bitscale.runs.undelivered import Backlog, can_be_delivered
from airflow_provider_bitscale.webhooks.assets import bitscale_run_asset
from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH, leads_to_receiver
from airflow_provider_bitscale.webhooks.submission_events import delivered, submitted, submitted_runs_asset

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

    from airflow_provider_bitscale.webhooks.redelivery import Redelivery

_BACKLOG = "bitscale_undelivered"


class CollectUndeliveredOperator(HookMixin, BaseOperator):
    """Asks for runs that were submitted with a webhook and not delivered, and delivers them to Airflow.

    For a DAG of its own, every quarter of an hour or so, with ``max_active_runs=1``. It is for what
    ``RunGridOperator(wait_for_completion=False, webhook_url=...)`` submitted, where that URL leads to
    Airflow's receiver: what a task or a batch waits for, it polls itself.

    A run that has ended is delivered to the receiver by the worker, signed with the connection's
    ``webhook_secret``. So it starts the same DAGs as a delivery from BitScale, and only once, even if
    BitScale delivers it later. A run that has not ended, or that BitScale does not know, is asked for again
    by the next run of the DAG, for 30 days after its submission; then it is given up, with a warning.

    Requests to BitScale: one poll for each run that is not delivered, each time; none for what was delivered.
    It costs no credits. The ids come from asset events, which Airflow records when the submitting task
    succeeds, and which do not expire; ``airflow db clean`` deletes old ones, and must keep those of 30 days.

    :param grid_id: id of the grid. (not templated: the task's inlets name it)
    :param webhook_url: URL of Airflow's receiver for the connection, as workers reach it: that of the
        submissions, or an internal one; http or https. (templated)
    :param undelivered_for: how long after its submission a run counts as not delivered; seconds or a
        timedelta. Should be longer than runs usually take, or they are polled while they run.
    :param bitscale_conn_id: id of the connection of type ``bitscale`` that the runs were submitted with; it
        needs its ``webhook_secret``. (not templated: the task's inlets name it)
    :return: ``{delivered, open, given_up}``, lists of run ids: those delivered to Airflow now, those to be
        asked for again, and those that are not.
    :raises ConfigurationError: the URL does not lead to the receiver of this connection, or the connection
        has no ``webhook_secret``, or the receiver does not accept it.
    :raises TransportError: BitScale or the receiver cannot be reached. A retry goes on with the rest.
    """

    template_fields: Sequence[str] = ("webhook_url",)
    operator_extra_links = (BitScaleGridLink(),)
    ui_color = "#e8f0ff"

    def __init__(
        self,
        *,
        grid_id: str,
        webhook_url: str,
        undelivered_for: float | timedelta = timedelta(minutes=15),
        bitscale_conn_id: str = "bitscale_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.grid_id = grid_id
        self.webhook_url = webhook_url
        self.undelivered_for: float = seconds(undelivered_for)
        self.bitscale_conn_id = bitscale_conn_id
        refuse(option_problems(undelivered_for=self.undelivered_for), of=self)
        self.inlets = [*self.inlets, self._submitted_runs, *self._delivered_runs]

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Ask once for each run of which no delivery is known, and deliver those that have ended."""
        # Of an asset that is of this grid alone.
        store = context["asset_state_store"][self._delivered_runs[0]]
        now = time.time()
        with airflow_errors(self.bitscale_conn_id), self._redelivery() as redelivery:
            backlog = self._read(context, Backlog.from_json(store.get(_BACKLOG)), now)
            given_up = backlog.given_up(now)
            for run_id in given_up:
                self.log.warning("Run %s was not delivered, nor collected within 30 days: given up", run_id)
            backlog = backlog.without(given_up)
            done: list[str] = []
            try:
                for run_id in backlog.open:
                    if self._collect(run_id, redelivery):
                        done.append(run_id)
            finally:
                backlog = backlog.without(done)
                store.set(_BACKLOG, backlog.to_json())
        self.log.info("%d runs delivered now, %d to be asked for again", len(done), len(backlog.open))
        return {"delivered": done, "open": list(backlog.open), "given_up": given_up}

    def _redelivery(self) -> Redelivery:
        # It brings an HTTP library, which a DAG file that is parsed does not pay for.
        from airflow_provider_bitscale.webhooks.redelivery import Redelivery

        if not leads_to_receiver(self.webhook_url, self.bitscale_conn_id):
            raise ConfigurationError(
                f"webhook_url does not lead to {RECEIVER_PATH}/{self.bitscale_conn_id}, where Airflow "
                "receives the deliveries of this connection"
            )
        if (settings := self.hook.webhook_settings) is None:
            raise ConfigurationError(f"connection {self.bitscale_conn_id} has no webhook_secret")
        return Redelivery(self.webhook_url, settings)

    def _read(self, context: Context, backlog: Backlog, now: float) -> Backlog:
        since, until = backlog.since(now), now - self.undelivered_for
        found = submitted(context, self._submitted_runs, self.grid_id, since, until)
        if not (found or backlog.open):
            return backlog.after_reading({}, (), until)
        known = {run_id for asset in self._delivered_runs for run_id in delivered(context, asset, since)}
        return backlog.after_reading(found, known, until)

    def _collect(self, run_id: str, redelivery: Redelivery) -> bool:
        """Ask for a run, and deliver it if it has ended; whether it is delivered now."""
        try:
            run = self.hook.get_run(self.grid_id, run_id)
        except NotFoundError as error:
            self.log.warning("Run %s was not delivered, and BitScale does not know it: %s", run_id, error)
            return False
        if not can_be_delivered(run, run_id):
            self.log.info("Run %s was not delivered yet, and is %s", run_id, run.reported_status)
            return False
        if outcome := redelivery.deliver(replace(run, run_id=run_id, grid_id=self.grid_id)):
            self.log.info("Run %s is %s, and delivered now: %s", run_id, run.reported_status, outcome)
            return True
        self.log.warning(
            "Run %s is %s, but the receiver refuses it (over 1 MiB, perhaps). A RunCompletedSensor can "
            "collect it",
            run_id,
            run.reported_status,
        )
        return False

    @property
    def _submitted_runs(self) -> Asset:
        return submitted_runs_asset(self.bitscale_conn_id)

    @property
    def _delivered_runs(self) -> list[Asset]:
        asset = partial(bitscale_run_asset, self.grid_id, bitscale_conn_id=self.bitscale_conn_id)
        return [asset(COMPLETED), asset(FAILED)]

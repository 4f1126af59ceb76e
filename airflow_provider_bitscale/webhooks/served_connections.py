"""The connections whose deliveries are received, and how these are signed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from airflow.configuration import conf
from airflow.sdk import Connection

from airflow_provider_bitscale.api.deliveries import WebhookSettings
from airflow_provider_bitscale.hooks.connection_config import webhook_settings_from_fields
from airflow_provider_bitscale.webhooks.quiet_log import QuietLog

# BitScale tries four times, seconds apart: a secret that changed is read again meanwhile.
SETTINGS_SECONDS = 2.0


def listed_connections() -> frozenset[str]:
    """The connections that ``[bitscale] webhook_connections`` lists."""
    listed = conf.get("bitscale", "webhook_connections", fallback="")
    return frozenset(filter(None, (name.strip() for name in listed.split(","))))


class ServedConnections:
    """Reads all of them together every few seconds, so that a request for one takes as long as for any other.

    :param log: for what keeps a connection from being served.
    """

    def __init__(self, log: QuietLog) -> None:
        self._log = log
        # None for those that cannot be served.
        self._known: dict[str, WebhookSettings | None] = {}
        self._problem: Exception | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        # Apart from where deliveries are recorded: a database that is slow there is not waited for here.
        self._reader = ThreadPoolExecutor(1, "bitscale-webhooks-reader")

    async def settings(self) -> Mapping[str, WebhookSettings]:
        """How the deliveries for each connection are signed; those that cannot be served are left out.

        :raises sqlalchemy.exc.SQLAlchemyError: Airflow's database is away, and has not told yet.
        """
        async with self._reading:
            if time.monotonic() >= self._read_at + SETTINGS_SECONDS:
                loop = asyncio.get_running_loop()
                try:
                    self._known = await loop.run_in_executor(self._reader, self._read)
                    self._problem = None
                except Exception as problem:
                    self._problem = problem
                self._read_at = time.monotonic()
            if self._problem is not None:
                raise self._problem
            return {conn_id: settings for conn_id, settings in self._known.items() if settings is not None}

    def _read(self) -> dict[str, WebhookSettings | None]:
        return {conn_id: self._settings_of(conn_id) for conn_id in sorted(listed_connections())}

    def _settings_of(self, conn_id: str) -> WebhookSettings | None:
        try:
            settings = webhook_settings_from_fields(Connection.get(conn_id).extra)
            problem = "it has no webhook_secret"
        except Exception as error:
            if self._cannot_be_told(conn_id):
                return self._known[conn_id]
            settings, problem = None, str(error)
        if settings is None:
            self._log.tell(
                logging.ERROR,
                ("not served", conn_id),
                "Deliveries for connection %s cannot be received: %s",
                conn_id,
                problem,
            )
        for warning in () if settings is None else settings.warnings:
            self._log.tell(
                logging.WARNING, ("unsafe", conn_id), "Deliveries for connection %s: %s", conn_id, warning
            )
        return settings

    def _cannot_be_told(self, conn_id: str) -> bool:
        """Whether a connection may only seem to be gone, since the database is away: what is known holds.

        :raises sqlalchemy.exc.SQLAlchemyError: nothing is known of it.
        """
        from airflow_provider_bitscale.webhooks.airflow_internals import check_connections_can_be_read

        try:
            check_connections_can_be_read()
        except Exception:
            if conn_id not in self._known:
                raise
            return True
        return False

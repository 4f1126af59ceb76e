"""The connections whose deliveries are received, and how their deliveries are signed."""

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

# BitScale tries four times, seconds apart: a changed secret is read before the last one.
SETTINGS_SECONDS = 2.0


def listed_connections() -> frozenset[str]:
    """Return the connections that ``[bitscale] webhook_connections`` lists."""
    listed = conf.get("bitscale", "webhook_connections", fallback="")
    return frozenset(filter(None, (name.strip() for name in listed.split(","))))


class ServedConnections:
    """The settings of the listed connections, all read together every few seconds.

    So a request takes as long for one connection as for any other.
    """

    def __init__(self, log: QuietLog) -> None:
        self._log = log
        # None for connections that cannot be served.
        self._known: dict[str, WebhookSettings | None] = {}
        self._problem: Exception | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        # A thread of its own: it does not wait behind a database that is slow to store deliveries.
        self._reader = ThreadPoolExecutor(1, "bitscale-webhooks-reader")

    async def settings(self) -> Mapping[str, WebhookSettings]:
        """Return how deliveries are signed, for each connection that can be served.

        :raises sqlalchemy.exc.SQLAlchemyError: the database is down, and the settings were never read.
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
            if self._keeps_known(conn_id):
                return self._known[conn_id]
            settings, problem = None, str(error)
        if settings is None:
            self._log.log(
                logging.ERROR,
                ("not served", conn_id),
                "Deliveries for connection %s cannot be received: %s",
                conn_id,
                problem,
            )
        for warning in () if settings is None else settings.warnings:
            self._log.log(
                logging.WARNING, ("unsafe", conn_id), "Deliveries for connection %s: %s", conn_id, warning
            )
        return settings

    def _keeps_known(self, conn_id: str) -> bool:
        """Whether the database is down, so that the connection may still exist as it was last read.

        :raises sqlalchemy.exc.SQLAlchemyError: the database is down, and the connection was never read.
        """
        from airflow_provider_bitscale.webhooks.airflow_internals import check_connections_can_be_read

        try:
            check_connections_can_be_read()
        except Exception:
            if conn_id not in self._known:
                raise
            return True
        return False

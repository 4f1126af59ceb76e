"""The endpoint that BitScale delivers to: an app of its own, mounted on Airflow's API server.

Strangers may call it. They learn nothing, cannot make it hold more than a bounded body, and cause no look
into the database or a secrets backend: only connections that the configuration lists are served, and these
are read at most every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.sdk import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_provider_bitscale.api import deliveries
from airflow_provider_bitscale.api.deliveries import (
    MAX_BODY_BYTES,
    DeliveryRefusedError,
    WebhookSettings,
    parse_delivery,
)
from airflow_provider_bitscale.hooks.connection import webhook_settings_from_fields
from airflow_provider_bitscale.webhooks.addressee import TOKEN_PARAMETER, read_token
from airflow_provider_bitscale.webhooks.asset_events import ACCEPTED, DUPLICATE, TOO_OLD, tell_dags
from airflow_provider_bitscale.webhooks.grouping import Grouped
from airflow_provider_bitscale.webhooks.waiting_tasks import tell_tasks

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_bitscale.api.deliveries import Delivery
    from airflow_provider_bitscale.webhooks.addressee import Claims

# BitScale waits ten seconds for an answer (API document, "Webhook Delivery").
ANSWER_SECONDS = 8.0
# And it tries four times, seconds apart: a secret that changed, or could not be read, is read anew meanwhile.
SETTINGS_SECONDS = 2.0
# Strangers must not fill the log.
QUIET_SECONDS = 60.0
_THREADS = 4
MOST_AT_ONCE = 100
_STATUS = {
    deliveries.TOO_LARGE: 413,
    deliveries.NOT_JSON: 400,
    deliveries.NOT_A_RUN: 400,
    deliveries.OTHER_RUN_ID: 400,
}

log = logging.getLogger(__name__)


def served_connections() -> frozenset[str]:
    """The connections whose deliveries are received: ``[bitscale] webhook_connections``."""
    listed = conf.get("bitscale", "webhook_connections", fallback="")
    return frozenset(filter(None, (name.strip() for name in listed.split(","))))


class Receiver:
    """Receives ``POST /{bitscale_conn_id}``."""

    def __init__(self) -> None:
        self._settings: dict[str, tuple[float, WebhookSettings | None]] = {}
        self._reading = asyncio.Lock()
        self._quiet_until: dict[str, float] = {}
        # Of our own, so that a burst of deliveries leaves the API server's threads alone; and apart, so that
        # bodies that anybody may have sent do not pile up behind a database that is slow.
        self._reader = ThreadPoolExecutor(1, "bitscale-webhooks-reader")
        self._checkers = ThreadPoolExecutor(_THREADS, "bitscale-webhooks-checker")
        # What comes at once is kept at once: a batch may end in a hundred deliveries a second. Tasks wait for
        # theirs, and events take Airflow longer.
        self._tell_tasks = Grouped(tell_tasks, MOST_AT_ONCE, "bitscale-webhooks-tasks")
        self._tell_dags = Grouped(tell_dags, MOST_AT_ONCE, "bitscale-webhooks-dags")

    def app(self) -> Starlette:
        """The app to mount; without pages that would tell of it."""
        paths = ("/{conn_id}", "/{conn_id}/")
        return Starlette(routes=[Route(path, self.receive, methods=["POST"]) for path in paths])

    async def receive(self, request: Request) -> JSONResponse:
        """Verify a delivery, and record it before it is acknowledged."""
        conn_id = request.path_params["conn_id"]
        try:
            return await asyncio.wait_for(self._receive(request, conn_id), ANSWER_SECONDS)
        except ClientDisconnect:
            return _refused(400)
        except asyncio.TimeoutError:
            log.warning("A delivery for connection %s could not be recorded in time", conn_id)
            return _refused(503)
        except SQLAlchemyError:
            log.exception("A delivery for connection %s could not be recorded", conn_id)
            return _refused(503)

    async def _receive(self, request: Request, conn_id: str) -> JSONResponse:
        # The answer is alike, whether there is such a connection or not; the log tells its reader.
        if conn_id not in served_connections():
            self._warn_of(conn_id, "[bitscale] webhook_connections does not list it")
            return _refused(401)
        settings = await self._settings_of(conn_id)
        if settings is None:
            return _refused(401)
        if settings.signature_header not in request.headers:
            self._warn_of(conn_id, f"there is no header {settings.signature_header}")
            return _refused(401)
        body = await _bounded_body(request)
        loop = asyncio.get_running_loop()
        try:
            delivery = await loop.run_in_executor(
                self._checkers, parse_delivery, dict(request.headers), body, settings
            )
        except DeliveryRefusedError as refused:
            log.warning("A delivery for connection %s was refused: %s", conn_id, refused)
            return _refused(_STATUS.get(str(refused.code), 401))
        claims = read_token(request.query_params.get(TOKEN_PARAMETER), settings.secret)
        outcome = await self._record(delivery, claims)
        log.info("Delivery of run %s for connection %s: %s", delivery.run_id, conn_id, outcome)
        return JSONResponse({"outcome": outcome}, 200 if outcome in (DUPLICATE, TOO_OLD) else 202)

    async def _record(self, delivery: Delivery, claims: Claims | None) -> str:
        """Make it an asset event, once for each run, and tell the task instance it is for.

        :return: ``accepted``: it was told to one or the other; ``duplicate``: an event was made of it before;
            ``too_old``: one may have been; ``no_subscribers``: there is neither a DAG nor a task instance,
            and nothing is kept.
        """
        is_told, outcome = await asyncio.gather(
            self._tell_tasks((delivery, claims)), self._tell_dags(delivery)
        )
        return ACCEPTED if is_told else outcome

    def _warn_of(self, conn_id: str, why: str) -> None:
        """Say why something was refused, which anybody may have sent: not in its words, and not often."""
        now = time.monotonic()
        if now >= self._quiet_until.get(why, 0.0):
            self._quiet_until[why] = now + QUIET_SECONDS
            log.warning("A delivery for connection %.60r was refused: %s", conn_id, why)

    async def _settings_of(self, conn_id: str) -> WebhookSettings | None:
        async with self._reading:
            until, settings = self._settings.get(conn_id, (0.0, None))
            if time.monotonic() >= until:
                settings = await asyncio.get_running_loop().run_in_executor(
                    self._reader, _read_settings, conn_id
                )
                self._settings[conn_id] = (time.monotonic() + SETTINGS_SECONDS, settings)
            return settings


def _read_settings(conn_id: str) -> WebhookSettings | None:
    try:
        settings = webhook_settings_from_fields(Connection.get(conn_id).extra)
    except Exception as problem:
        # Whatever it is: it is not looked for again with the next request of a stranger.
        log.error("Deliveries for connection %s cannot be received: %s", conn_id, problem)
        return None
    if settings is None:
        log.error("Deliveries for connection %s cannot be received: it has no webhook_secret", conn_id)
    return settings


async def _bounded_body(request: Request) -> bytes:
    """The body, or so much of it as shows that it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body)


def _refused(status: int) -> JSONResponse:
    return JSONResponse({"outcome": "refused"}, status)

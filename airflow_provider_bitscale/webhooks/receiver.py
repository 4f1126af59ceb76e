"""The endpoint that BitScale delivers to: an app of its own, mounted on Airflow's API server.

Anybody can call it. A request is handled and answered alike, whatever connection it names. Limits hold for
the bytes in memory, for the lines in the log, and for reads of the database or a secrets backend: one every
few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from airflow.configuration import conf
from fastapi import FastAPI
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_provider_bitscale.api import deliveries
from airflow_provider_bitscale.api.deliveries import (
    MAX_BODY_BYTES,
    Delivery,
    DeliveryRefusedError,
    WebhookSettings,
    parse_delivery,
)
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.webhooks.bodies import HeldBodies, TooManyBodiesError
from airflow_provider_bitscale.webhooks.callback_token import (
    TOKEN_PARAMETER,
    WRONG_TOKEN,
    Claims,
    DeliveryAddress,
    new_key,
    read_token,
)
from airflow_provider_bitscale.webhooks.coalescing import Coalesced
from airflow_provider_bitscale.webhooks.outcomes import DUPLICATE, TOO_OLD, outcome_of
from airflow_provider_bitscale.webhooks.quiet_log import QuietLog
from airflow_provider_bitscale.webhooks.served_connections import ServedConnections, listed_connections

if TYPE_CHECKING:
    from airflow_provider_bitscale.webhooks.notify_dags import ReceivedDelivery
    from airflow_provider_bitscale.webhooks.notify_tasks import AddressedDelivery

# BitScale waits ten seconds for an answer (API document, "Webhook Delivery").
ANSWER_SECONDS = 8.0
# Unverified bodies, all together.
MAX_HELD_BYTES = 16 * MAX_BODY_BYTES
WARM_UP_SECONDS = 20.0
_THREADS = 4
MOST_AT_ONCE = 100
_STATUS = {
    deliveries.TOO_LARGE: 413,
    deliveries.NOT_JSON: 400,
    deliveries.NOT_A_RUN: 400,
    deliveries.OTHER_RUN_ID: 400,
    WRONG_TOKEN: 400,
}
# The database is down for a moment.
_TRANSIENT = (OperationalError, InterfaceError)

log = logging.getLogger(__name__)


class Receiver:
    """Receives ``POST /{bitscale_conn_id}``."""

    def __init__(self) -> None:
        self._log = QuietLog(log)
        self._served = ServedConnections(self._log)
        # A delivery for a connection that is not served is checked, too, and refused alike.
        self._decoy = WebhookSettings(secrets.token_hex(32))
        self._bodies = HeldBodies(MAX_HELD_BYTES)
        # Not the API server's threads, which a burst of deliveries would use up; nor those that wait for the
        # database, behind which unverified bodies would pile up.
        self._checkers = ThreadPoolExecutor(_THREADS, "bitscale-webhooks-checker")
        # Deliveries that come together are stored together: a batch may end with a hundred a second. Apart,
        # since tasks wait for theirs, and Airflow takes longer for events.
        self._notify_tasks = Coalesced(
            _notify_waiting, MOST_AT_ONCE, "bitscale-webhooks-tasks", again=_TRANSIENT
        )
        self._notify_dags = Coalesced(
            _notify_scheduled, MOST_AT_ONCE, "bitscale-webhooks-dags", again=_TRANSIENT
        )

    def app(self) -> FastAPI:
        """Return the app to mount, without pages of documentation."""
        paths = ("/{conn_id}", "/{conn_id}/")
        # Airflow runs the lifespan of such apps alone, before it counts as ready.
        return FastAPI(
            routes=[Route(path, self.receive, methods=["POST"]) for path in paths],
            lifespan=self._lifespan,
            openapi_url=None,
        )

    async def receive(self, request: Request) -> JSONResponse:
        """Verify a delivery, and store it before it is acknowledged."""
        try:
            return await asyncio.wait_for(self._receive(request), ANSWER_SECONDS)
        except ClientDisconnect:
            return _refused(400)
        except TooManyBodiesError:
            self._log.log(logging.WARNING, ("bodies",), "Deliveries were put off: too many come at once")
        except asyncio.TimeoutError:
            self._log.log(logging.WARNING, ("late",), "A delivery was not received, or recorded, in time")
        except Exception as problem:
            self._log_fault(problem)
        return _refused(503)

    async def _receive(self, request: Request) -> JSONResponse:
        if _is_multi_team():
            return _refused(503)
        conn_id = request.path_params["conn_id"]
        served = await self._served.settings()
        # The headers of all connections: the answer must not depend on which one is named.
        signed_in = {each.signature_header for each in (self._decoy, *served.values())}
        if not any(header in request.headers for header in signed_in):
            self._log.log(
                logging.WARNING,
                ("unsigned",),
                "A delivery was refused: there is no header %s",
                " or ".join(sorted(signed_in)),
            )
            return _refused(401)
        settings = served.get(conn_id, self._decoy)
        try:
            async with self._bodies.of(request, MAX_BODY_BYTES) as body:
                delivery = await asyncio.get_running_loop().run_in_executor(
                    self._checkers, parse_delivery, dict(request.headers), body, settings
                )
                # It is not held while the database is waited for.
                del body
            claims = read_token(request.query_params.get(TOKEN_PARAMETER), settings.secret, conn_id)
        except DeliveryRefusedError as refused:
            self._log_refusal(refused, conn_id if conn_id in served else None)
            return _refused(_STATUS.get(str(refused.code), 401))
        outcome = await self._record(conn_id, delivery, claims)
        log.info("Delivery of run %s for connection %s: %s", delivery.run_id, conn_id, outcome)
        return JSONResponse({"outcome": outcome}, 200 if outcome in (DUPLICATE, TOO_OLD) else 202)

    async def _record(self, conn_id: str, delivery: Delivery, claims: Claims | None) -> str:
        """Make one asset event of each run, and pass the delivery to the task instance that waits for it."""
        work = [self._notify_dags((conn_id, delivery))]
        if claims is not None:
            work.append(self._notify_tasks((delivery, claims)))
        return outcome_of(await asyncio.gather(*work))

    def _log_refusal(self, refused: DeliveryRefusedError, conn_id: str | None) -> None:
        """Log why a delivery was refused, without text from the request, nor an id that is not served."""
        if conn_id is None:
            self._log.log(
                logging.WARNING,
                ("not served",),
                "A delivery was refused: its connection is not served, see [bitscale] webhook_connections",
            )
        else:
            self._log.log(
                logging.WARNING,
                (str(refused.code), conn_id),
                "A delivery for connection %s was refused: %s",
                conn_id,
                refused,
            )

    def _log_fault(self, problem: Exception) -> None:
        self._log.log(
            logging.ERROR,
            ("fault", type(problem).__name__),
            "Deliveries cannot be recorded, and tasks that wait for them go on by polls: %s",
            type(problem).__name__,
            exc_info=problem,
        )

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        if listed_connections():
            await self._warm_up()
        yield

    async def _warm_up(self) -> None:
        """Store a delivery for no task, so that the first real one finds all loaded and connected."""
        if _is_multi_team():
            log.error(
                "[bitscale] webhook_connections is set, and so is [core] multi_team: deliveries are answered "
                "503, since they would not start the DAGs of a team, and tasks do not wait for them"
            )
            return
        run = parse_run({"status": "completed"})
        no_task = Claims(DeliveryAddress("warm up", "warm up", "warm up", -1, new_key(), ""))
        try:
            await asyncio.wait_for(self._served.settings(), WARM_UP_SECONDS)
            await asyncio.wait_for(self._record("", Delivery("", "", run, {}), no_task), WARM_UP_SECONDS)
            await asyncio.get_running_loop().run_in_executor(self._checkers, _create_submission_assets)
        except Exception as problem:
            # It must not keep the API server from starting.
            self._log_fault(problem)


def _is_multi_team() -> bool:
    return conf.getboolean("core", "multi_team", fallback=False)


def _notify_waiting(received: Sequence[AddressedDelivery]) -> Sequence[str | Exception]:
    # Imported here: what it uses may be missing in a later Airflow, whose API server must start even so.
    from airflow_provider_bitscale.webhooks.notify_tasks import notify_waiting

    return notify_waiting(received)


def _notify_scheduled(received: Sequence[ReceivedDelivery]) -> Sequence[str | Exception]:
    from airflow_provider_bitscale.webhooks.notify_dags import notify_scheduled

    return notify_scheduled(received)


def _create_submission_assets() -> None:
    from airflow_provider_bitscale.webhooks.notify_dags import create_submission_assets

    create_submission_assets(listed_connections())


def _refused(status: int) -> JSONResponse:
    return JSONResponse({"outcome": "refused"}, status)

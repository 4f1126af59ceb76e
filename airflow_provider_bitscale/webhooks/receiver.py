"""The endpoint that BitScale delivers to: an app of its own, mounted on Airflow's API server.

Strangers may call it. They learn nothing: whatever connection they name, their requests take the same way to
the same answer. They cannot make it hold more than so many bytes, nor fill the log, and cause no look into
the database or a secrets backend but one every few seconds.
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
    from airflow_provider_bitscale.webhooks.notify_dags import Received
    from airflow_provider_bitscale.webhooks.notify_tasks import Addressed

# BitScale waits ten seconds for an answer (API document, "Webhook Delivery").
ANSWER_SECONDS = 8.0
# Bodies that nobody has verified yet, all together.
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
# The database is not there for a moment.
_AWAY = (OperationalError, InterfaceError)

log = logging.getLogger(__name__)


class Receiver:
    """Receives ``POST /{bitscale_conn_id}``."""

    def __init__(self) -> None:
        self._log = QuietLog(log)
        self._served = ServedConnections(self._log)
        # What is sent to a connection that is not served is checked as well, and with the same outcome.
        self._decoy = WebhookSettings(secrets.token_hex(32))
        self._bodies = HeldBodies(MAX_HELD_BYTES)
        # Of our own, so that a burst of deliveries leaves the API server's threads alone; and apart, so that
        # bodies that anybody may have sent do not pile up behind a database that is slow.
        self._checkers = ThreadPoolExecutor(_THREADS, "bitscale-webhooks-checker")
        # What comes at once is kept at once: a batch may end in a hundred deliveries a second. Tasks wait for
        # theirs, and events take Airflow longer.
        self._tell_tasks = Coalesced(_tell_tasks, MOST_AT_ONCE, "bitscale-webhooks-tasks", again=_AWAY)
        self._tell_dags = Coalesced(_tell_dags, MOST_AT_ONCE, "bitscale-webhooks-dags", again=_AWAY)

    def app(self) -> FastAPI:
        """The app to mount; without pages that would tell of it."""
        paths = ("/{conn_id}", "/{conn_id}/")
        # Airflow runs the lifespan of such apps alone, before it counts as ready.
        return FastAPI(
            routes=[Route(path, self.receive, methods=["POST"]) for path in paths],
            lifespan=self._lifespan,
            openapi_url=None,
        )

    async def receive(self, request: Request) -> JSONResponse:
        """Verify a delivery, and record it before it is acknowledged."""
        try:
            return await asyncio.wait_for(self._receive(request), ANSWER_SECONDS)
        except ClientDisconnect:
            return _refused(400)
        except TooManyBodiesError:
            self._log.tell(logging.WARNING, ("bodies",), "Deliveries were put off: too many come at once")
        except asyncio.TimeoutError:
            self._log.tell(logging.WARNING, ("late",), "A delivery was not received, or recorded, in time")
        except Exception as problem:
            self._tell_of_fault(problem)
        return _refused(503)

    async def _receive(self, request: Request) -> JSONResponse:
        if _is_multi_team():
            return _refused(503)
        conn_id = request.path_params["conn_id"]
        served = await self._served.settings()
        # Whichever connection is named: nothing is to be told from what is looked at.
        signed_in = {each.signature_header for each in (self._decoy, *served.values())}
        if not any(header in request.headers for header in signed_in):
            self._log.tell(
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
                # It is not kept while the database is waited for.
                del body
            claims = read_token(request.query_params.get(TOKEN_PARAMETER), settings.secret, conn_id)
        except DeliveryRefusedError as refused:
            self._tell_of_refusal(refused, conn_id if conn_id in served else None)
            return _refused(_STATUS.get(str(refused.code), 401))
        outcome = await self._record(conn_id, delivery, claims)
        log.info("Delivery of run %s for connection %s: %s", delivery.run_id, conn_id, outcome)
        return JSONResponse({"outcome": outcome}, 200 if outcome in (DUPLICATE, TOO_OLD) else 202)

    async def _record(self, conn_id: str, delivery: Delivery, claims: Claims | None) -> str:
        """Make it an asset event, once for each run, and tell the task instance that waits for it."""
        work = [self._tell_dags((conn_id, delivery))]
        if claims is not None:
            work.append(self._tell_tasks((delivery, claims)))
        return outcome_of(await asyncio.gather(*work))

    def _tell_of_refusal(self, refused: DeliveryRefusedError, conn_id: str | None) -> None:
        """Say why something was refused, which anybody may have sent: not in its words, and not often.

        :param conn_id: None if it is not served.
        """
        if conn_id is None:
            self._log.tell(
                logging.WARNING,
                ("not served",),
                "A delivery was refused: its connection is not served, see [bitscale] webhook_connections",
            )
        else:
            self._log.tell(
                logging.WARNING,
                (str(refused.code), conn_id),
                "A delivery for connection %s was refused: %s",
                conn_id,
                refused,
            )

    def _tell_of_fault(self, problem: Exception) -> None:
        """Say that the receiver, or what it uses of Airflow, is at fault: the whole of it once a process."""
        self._log.tell(
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
        """Record a delivery that nobody waits for: what the first one needs is then loaded and connected."""
        if _is_multi_team():
            log.error(
                "[bitscale] webhook_connections is set, and so is [core] multi_team: deliveries are answered "
                "503, since they would not start the DAGs of a team, and tasks do not wait for them"
            )
            return
        run = parse_run({"status": "completed"})
        nobody = Claims(DeliveryAddress("warm up", "warm up", "warm up", -1, new_key(), ""))
        try:
            await asyncio.wait_for(self._served.settings(), WARM_UP_SECONDS)
            await asyncio.wait_for(self._record("", Delivery("", "", run, {}), nobody), WARM_UP_SECONDS)
            await asyncio.get_running_loop().run_in_executor(self._checkers, _expect_submissions)
        except Exception as problem:
            # Whatever it is: the API server has other things to do.
            self._tell_of_fault(problem)


def _is_multi_team() -> bool:
    return conf.getboolean("core", "multi_team", fallback=False)


def _tell_tasks(received: Sequence[Addressed]) -> Sequence[str | Exception]:
    # Here, for what they use of Airflow may be absent in the next one, which is to start all the same.
    from airflow_provider_bitscale.webhooks.notify_tasks import notify_waiting

    return notify_waiting(received)


def _tell_dags(received: Sequence[Received]) -> Sequence[str | Exception]:
    from airflow_provider_bitscale.webhooks.notify_dags import notify_scheduled

    return notify_scheduled(received)


def _expect_submissions() -> None:
    from airflow_provider_bitscale.webhooks.notify_dags import expect_submissions

    expect_submissions(listed_connections())


def _refused(status: int) -> JSONResponse:
    return JSONResponse({"outcome": "refused"}, status)

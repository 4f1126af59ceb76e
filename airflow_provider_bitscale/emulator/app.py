"""The emulator as an ASGI application: reads requests, lets the pure modules decide, writes or cuts.

One request goes: record, find the endpoint, count it against the rate limit, choose its faults, do the work
(or not), wait out an injected latency, answer. The work comes before the latency, so that a client which
gives up early has a run on its hands, as with the real service.

It is plain ASGI rather than Starlette routes: ids must be split off the raw, still encoded path, connections
must be cut on purpose, and a poll should cost little.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from airflow_provider_bitscale.emulator import replies
from airflow_provider_bitscale.emulator.contracts import CONTRACTS
from airflow_provider_bitscale.emulator.control_api import CONTROL_PATH, control_app
from airflow_provider_bitscale.emulator.endings import Endings
from airflow_provider_bitscale.emulator.errors import ApiError
from airflow_provider_bitscale.emulator.faults import FaultBook, Stage
from airflow_provider_bitscale.emulator.rate_limit import RateLimiter
from airflow_provider_bitscale.emulator.replies import Headers, Reply
from airflow_provider_bitscale.emulator.routing import Call, Endpoint, find_endpoint
from airflow_provider_bitscale.emulator.seed import GRIDS, WEBHOOK_SECRET, extra_grids
from airflow_provider_bitscale.emulator.settings import Settings
from airflow_provider_bitscale.emulator.state import Fate, Run, World
from airflow_provider_bitscale.emulator.validation import ASYNC
from airflow_provider_bitscale.emulator.webhooks import WebhookSender
from airflow_provider_bitscale.emulator.wire import Exchange, new_wire

TRANSPORT = "airflow_provider_bitscale.transport"
"""The key of the ASGI scope under which the server leaves the connection, so that it can be cut."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_DEFAULT_FAILURE = "The run failed because the emulator was told to fail it."


class EmulatorApp:
    """One emulated BitScale; ``base_url`` is where clients reach it, for the ``poll_url`` it hands out.

    All methods belong to the event loop that serves it.
    """

    def __init__(self, settings: Settings, base_url: str, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._settings = settings
        self._contract = CONTRACTS[settings.contract]
        self._base_url = base_url
        self._rate_limit_hints = settings.rate_limit_hints or self._contract.rate_limit_hints
        self._sync_cut_off = settings.sync_cut_off if self._contract.bounded_sync else None
        self._control = control_app(self)
        self._begin()

    def _begin(self) -> None:
        settings = self._settings
        seed = settings.seed or 0
        # An id from before a reset, or from another process, must not name a run of this world.
        id_seed = secrets.randbits(64) if settings.seed is None else settings.seed
        self.world = World(
            seed=seed,
            credits=settings.credits,
            run_seconds=settings.run_seconds,
            slow_runs=settings.slow_runs,
            run_limit=settings.run_limit,
            grids=(*GRIDS, *extra_grids(settings.extra_grids)),
            run_id=partial(self._contract.run_id, id_seed),
            miss_rate=settings.miss_rate,
            blank_misses=self._contract.blank_misses,
        )
        self.faults = FaultBook(seed, tuple(endpoint.name for endpoint in self._contract.endpoints))
        self.wire: deque[Exchange] = new_wire()
        self.rate_limited = 0
        self._limiter = None if settings.rate_limit is None else RateLimiter(*settings.rate_limit)
        self.endings = Endings(self.clock)
        self.webhooks = WebhookSender(
            target=settings.webhook_target,
            secret=WEBHOOK_SECRET,
            timeout=settings.webhook_timeout,
            backoff=settings.webhook_backoff,
            endings=self.endings,
            clock=self.clock,
        )

    async def reset(self) -> None:
        """Return to the start state; deliveries are dropped and requests waiting for a run are cut off."""
        await self.close()
        self._begin()

    async def close(self) -> None:
        """Drop deliveries and release whoever waits for a run."""
        self.endings.wake_all()
        await self.webhooks.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI, type ``http`` only)."""
        if scope["path"].startswith(CONTROL_PATH):
            await self._control(scope, receive, send)  # type: ignore[arg-type]
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        now = self.clock()
        path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        exchange = Exchange(
            now, scope["method"], f"{path}?{query}" if query else path, scope["headers"], body
        )
        self.wire.append(exchange)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        limit_headers: Headers = ()
        if self._limiter is not None:
            verdict = self._limiter.count(self._contract.limited_as(self.world, headers), now)
            limit_headers = verdict.told(self._rate_limit_hints, now)
            if not verdict.allowed:
                self._note(exchange, 429)
                await _write(send, replies.too_many_requests(), limit_headers)
                return
        reply = await self._answer(scope["method"], path, query, headers, exchange, receive)
        if reply is None:
            await _cut(scope, receive)
            return
        self._note(exchange, reply.status)
        await _write(send, reply, limit_headers)
        if reply.sent is not None:
            await _hang_up(scope, receive)

    async def _answer(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        exchange: Exchange,
        receive: Receive,
    ) -> Reply | None:
        """Return the reply to one request, when it is due; None: cut the connection."""
        endpoint: Endpoint | None = None
        params: dict[str, str] = {}
        refusal: ApiError | None = None
        try:
            endpoint, params = find_endpoint(self._contract.endpoints, method, path)
        except ApiError as error:
            refusal = error
        strikes = self.faults.strike(None if endpoint is None else endpoint.name, exchange.at)
        exchange.faults = strikes.names
        fault = strikes.answer
        reply: Reply | None
        if fault is not None and fault.stage is Stage.INSTEAD:
            reply = replies.instead_of_work(fault, exchange.at)
        elif endpoint is None:
            assert refusal is not None  # noqa: S101 - one of the two is always set
            reply = _refused(refusal)
        else:
            call = Call(
                world=self.world,
                base_url=self._base_url,
                params=params,
                headers=headers,
                query=query,
                body=exchange.body,
                now=exchange.at,
                fate=lambda: self._draw_fate(exchange),
            )
            reply = await self._work(endpoint, call, exchange, receive)
        if reply is not None and fault is not None and fault.stage is Stage.AFTER:
            reply = replies.after_work(fault, reply)
        if strikes.latency > 0 and not await _while_connected(receive, asyncio.sleep(strikes.latency, True)):
            return None
        return reply

    async def _work(
        self, endpoint: Endpoint, call: Call, exchange: Exchange, receive: Receive
    ) -> Reply | None:
        try:
            result = endpoint.handle(call)
        except ApiError as error:
            return _refused(error)
        document = await self._accepted(result, receive) if isinstance(result, Run) else result
        if document is None:
            return None
        faults = self.faults.strike_answer(endpoint.name, document.get("status"), exchange.at)
        exchange.faults = (*exchange.faults, *(fault.kind for fault in faults))
        bent = replies.bend_fields(document, faults, self._contract.null_until_true)
        return replies.json_reply(200, bent)

    async def _accepted(self, run: Run, receive: Receive) -> dict[str, Any] | None:
        """Return the answer to an accepted run: at once, or when a sync run need not be waited for any more.

        None: nobody wants it any more.
        """
        world = self.world
        if run.request.mode == ASYNC:
            if run.request.webhook_url is not None:
                self.webhooks.schedule(run, run.request.webhook_url)
        elif not await _while_connected(receive, self._over_or_cut_off(run)):
            return None
        return self._contract.answer_run(world, run, self._base_url, self.clock())

    async def _over_or_cut_off(self, run: Run) -> bool:
        """Wait until the run is over or has taken too long to wait for; False: woken before either."""
        try:
            return await asyncio.wait_for(self.endings.wait(run), self._sync_cut_off)
        except asyncio.TimeoutError:
            return True

    def _draw_fate(self, exchange: Exchange) -> Fate:
        fate = Fate()
        for fault in self.faults.strike_run(exchange.at):
            exchange.faults = (*exchange.faults, fault.kind)
            told = fault.fields
            if fault.kind == "read_lag":
                fate = replace(
                    fate, unseen_seconds=told.get("seconds", 0.0), unseen_polls=told.get("polls", 0)
                )
            elif fault.kind == "run_never_ends":
                fate = replace(fate, endless=True)
            else:
                fate = replace(fate, failure=told.get("message") or _DEFAULT_FAILURE)
        return fate

    def _note(self, exchange: Exchange, status: int) -> None:
        exchange.status = status
        if status == 429:
            self.rate_limited += 1


def _refused(error: ApiError) -> Reply:
    return replies.error_reply(error.status, error.code, error.message)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None when the client went away before its end."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _write(send: Send, reply: Reply, further: Headers) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (*reply.headers, *further)
    ]
    headers.append((b"Content-Length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = reply.body[: reply.sent]
    await send({"type": "http.response.body", "body": body, "more_body": reply.sent is not None})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive) -> None:
    """Drop the connection; back only once the server knows, or it would answer 500 in our name."""
    scope[TRANSPORT].abort()
    await _disconnected(receive)


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection after what was written has left."""
    scope[TRANSPORT].close()
    await _disconnected(receive)


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, bool]) -> bool:
    """Return what came of ``work``, waiting no longer than the client stays; False: the client left."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return doing.done() and doing.result()
    finally:
        doing.cancel()
        leaving.cancel()

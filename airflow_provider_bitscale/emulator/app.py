"""The emulator as an ASGI application: reads requests, asks the backend, writes responses or cuts.

It is plain ASGI rather than Starlette routes: ids must be split off the raw, still encoded path, connections
must be cut on purpose, and a poll should cost little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from airflow_provider_bitscale.emulator.backend import Backend
from airflow_provider_bitscale.emulator.control_api import CONTROL_PATH, control_app
from airflow_provider_bitscale.emulator.responses import Response

TRANSPORT = "airflow_provider_bitscale.transport"
"""The key of the ASGI scope under which the server leaves the connection, so that it can be cut."""


class EmulatorApp:
    """Serves the API and the control interface of one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._control = control_app(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI, type ``http`` only)."""
        if scope["path"].startswith(CONTROL_PATH):
            await self._control(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            return
        path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        target = f"{path}?{query}" if query else path
        response = await self._backend.respond(
            scope["method"], target, scope["headers"], body, partial(_while_connected, receive)
        )
        if response is None:
            scope[TRANSPORT].abort()
        else:
            await _write(send, response)
            if response.cut_after is None:
                return
            # What was written leaves first.
            scope[TRANSPORT].close()
        # If this returned before the server knows, it would answer 500.
        await _disconnected(receive)


async def _write(send: Send, response: Response) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    headers.append((b"Content-Length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = response.body[: response.cut_after]
    await send({"type": "http.response.body", "body": body, "more_body": response.cut_after is not None})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, bool]) -> bool:
    """Return the result of ``work``, or False as soon as the client leaves."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return doing.done() and doing.result()
    finally:
        doing.cancel()
        leaving.cancel()

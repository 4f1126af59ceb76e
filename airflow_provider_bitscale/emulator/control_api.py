"""The control interface of a running emulator, for tests in any process.

``GET    /_emulator/state``                   runs, credits, deliveries, counts
``GET    /_emulator/requests``                the recorded wire, in order
``POST   /_emulator/faults``                  ``{"kind": ..., <fields>}``: add a fault
``DELETE /_emulator/faults``                  lift all faults
``POST   /_emulator/reset``                   back to the start state
``POST   /_emulator/credits``                 ``{"remaining": 5, "workspace_id": "ws_abc123"}``
``POST   /_emulator/runs/{run_id}/finish``    ``{"status": "completed"}``: end a run now

It needs no API key and is neither recorded, counted nor struck by faults. What is wrong with a request is
told in the API's error shape, as 400 or 404. It is for programs on this machine: a page that a browser has
open, under whatever name it knows this machine by, is answered 403.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_bitscale.emulator.errors import FORBIDDEN, INVALID_REQUEST, NOT_FOUND, error_body
from airflow_provider_bitscale.emulator.seed import WORKSPACE_ID

if TYPE_CHECKING:
    from airflow_provider_bitscale.emulator.app import EmulatorApp

CONTROL_PATH = "/_emulator/"
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
# What a browser says of a request that no page of another site has caused.
_OWN_SITE = ("none", "same-origin")

_Handler = Callable[[Request], Awaitable[Response]]


def control_app(emulator: EmulatorApp) -> Starlette:
    """Return the application that serves the control paths of ``emulator``."""

    async def state(_request: Request) -> Response:
        now = emulator.clock()
        return _json(
            {
                **emulator.world.snapshot(now),
                "deliveries": emulator.webhooks.deliveries,
                "rate_limited": emulator.rate_limited,
            }
        )

    async def requests(_request: Request) -> Response:
        return _json([exchange.document() for exchange in emulator.wire])

    async def add_fault(request: Request) -> Response:
        fields = await _fields(request)
        kind = fields.pop("kind", None)
        if not isinstance(kind, str):
            raise ValueError("a fault needs a kind")
        emulator.faults.add(kind, fields, emulator.clock())
        return _json({}, status_code=201)

    async def clear_faults(_request: Request) -> Response:
        emulator.faults.clear()
        return _json({})

    async def reset(_request: Request) -> Response:
        await emulator.reset()
        return _json({})

    async def set_credits(request: Request) -> Response:
        fields = await _fields(request)
        remaining = fields.get("remaining")
        if not isinstance(remaining, int) or isinstance(remaining, bool) or remaining < 0:
            raise ValueError("remaining must be a whole number >= 0")
        workspace_id = fields.get("workspace_id") or WORKSPACE_ID
        if workspace_id not in emulator.world.workspaces:
            raise KeyError(f"there is no workspace {workspace_id}")
        emulator.world.set_credits(workspace_id, remaining)
        return _json({})

    async def finish_run(request: Request) -> Response:
        fields = await _fields(request)
        run_id = request.path_params["run_id"]
        if run_id not in emulator.world.runs:
            raise KeyError(f"there is no run {run_id}")
        emulator.world.finish(run_id, fields.get("status", "completed"), emulator.clock())
        emulator.endings.wake(run_id)
        return _json({})

    return Starlette(
        routes=[
            Route("/_emulator/state", _told(state)),
            Route("/_emulator/requests", _told(requests)),
            Route("/_emulator/faults", _told(add_fault), methods=["POST"]),
            Route("/_emulator/faults", _told(clear_faults), methods=["DELETE"]),
            Route("/_emulator/reset", _told(reset), methods=["POST"]),
            Route("/_emulator/credits", _told(set_credits), methods=["POST"]),
            Route("/_emulator/runs/{run_id}/finish", _told(finish_run), methods=["POST"]),
        ]
    )


def _json(document: Any, status_code: int = 200) -> Response:
    # Not starlette's: it refuses the NaN and the half surrogates that inputs and faults may hold.
    return Response(json.dumps(document), status_code, media_type="application/json")


async def _fields(request: Request) -> dict[str, Any]:
    document = await request.json()
    if not isinstance(document, dict):
        raise ValueError("the body must be a JSON object")
    return document


def _refuse_pages(request: Request) -> None:
    """Let no page of another site in, be it by a name of its own that leads to this machine.

    Raises ``PermissionError``.
    """
    host = request.headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in _THIS_MACHINE:
        raise PermissionError(f"the control interface is at 127.0.0.1 or localhost, not at {host!r}")
    origin = request.headers.get("origin", f"http://{host}")
    if origin != f"http://{host}" or request.headers.get("sec-fetch-site", "none") not in _OWN_SITE:
        raise PermissionError("the control interface is not for pages of another origin")


def _told(handler: _Handler) -> _Handler:
    """Wrap a handler so that a wrong request is told what is wrong with it."""

    async def told(request: Request) -> Response:
        try:
            _refuse_pages(request)
            return await handler(request)
        except PermissionError as error:
            return _json(error_body(FORBIDDEN, str(error)), status_code=403)
        except ValueError as error:
            return _json(error_body(INVALID_REQUEST, str(error)), status_code=400)
        except KeyError as error:
            return _json(error_body(NOT_FOUND, error.args[0]), status_code=404)

    return told

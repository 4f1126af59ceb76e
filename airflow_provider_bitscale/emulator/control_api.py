"""The control interface of a running emulator, for tests in any process.

``GET    /_emulator/state``                   runs, credits, deliveries, counts
``GET    /_emulator/requests``                recorded requests, in order
``POST   /_emulator/faults``                  ``{"kind": ..., <fields>}``: add a fault
``DELETE /_emulator/faults``                  lift all faults
``POST   /_emulator/reset``                   back to the start state
``POST   /_emulator/credits``                 ``{"remaining": 5, "workspace_id": "ws_abc123"}``
``POST   /_emulator/runs/{run_id}/finish``    ``{"status": "completed"}``: end a run now

It needs no API key, is not recorded or counted, and has no faults. A wrong request is answered 400 or 404 in
the API's error shape. The interface is for programs on this machine: another machine is answered 403, and
so is a page open in a browser, whatever name it uses for this machine.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_bitscale.emulator.backend import Backend
from airflow_provider_bitscale.emulator.errors import FORBIDDEN, INVALID_REQUEST, NOT_FOUND, error_body
from airflow_provider_bitscale.emulator.seed import WORKSPACE_ID

CONTROL_PATH = "/_emulator/"
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
# The Sec-Fetch-Site of a request that no page of another site caused.
_OWN_SITE = ("none", "same-origin")

_Handler = Callable[[Request], Awaitable[Any]]


def control_app(backend: Backend) -> Starlette:
    """Return the application that serves the control paths of ``backend``."""

    async def state(_request: Request) -> Any:
        return backend.state()

    async def requests(_request: Request) -> Any:
        return [recorded.document() for recorded in backend.request_log]

    async def add_fault(request: Request) -> None:
        fields = await _fields(request)
        kind = fields.pop("kind", None)
        if not isinstance(kind, str):
            raise ValueError("a fault needs a kind")
        backend.add_fault(kind, fields)

    async def clear_faults(_request: Request) -> None:
        backend.faults.clear()

    async def reset(_request: Request) -> None:
        await backend.reset()

    async def set_credits(request: Request) -> None:
        fields = await _fields(request)
        remaining = fields.get("remaining")
        if not isinstance(remaining, int) or isinstance(remaining, bool) or remaining < 0:
            raise ValueError("remaining must be a whole number >= 0")
        backend.world.set_credits(fields.get("workspace_id") or WORKSPACE_ID, remaining)

    async def finish_run(request: Request) -> None:
        fields = await _fields(request)
        backend.finish_run(request.path_params["run_id"], fields.get("status", "completed"))

    return Starlette(
        routes=[
            Route("/_emulator/state", _checked(state)),
            Route("/_emulator/requests", _checked(requests)),
            Route("/_emulator/faults", _checked(add_fault, 201), methods=["POST"]),
            Route("/_emulator/faults", _checked(clear_faults), methods=["DELETE"]),
            Route("/_emulator/reset", _checked(reset), methods=["POST"]),
            Route("/_emulator/credits", _checked(set_credits), methods=["POST"]),
            Route("/_emulator/runs/{run_id}/finish", _checked(finish_run), methods=["POST"]),
        ]
    )


def _json(document: Any, status_code: int) -> Response:
    # Not starlette's: it refuses the NaN and the half surrogates that inputs and faults may hold.
    return Response(json.dumps(document), status_code, media_type="application/json")


async def _fields(request: Request) -> dict[str, Any]:
    document = await request.json()
    if not isinstance(document, dict):
        raise ValueError("the body must be a JSON object")
    return document


def _refuse_others(request: Request) -> None:
    """Refuse other machines, and pages of other sites, also those whose own name resolves to this machine.

    :raises PermissionError: the request comes from such a machine or page.
    """
    if request.client is not None and not ipaddress.ip_address(request.client.host).is_loopback:
        raise PermissionError("the control interface serves the machine that it runs on alone")
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


def _checked(handler: _Handler, status_code: int = 200) -> Callable[[Request], Awaitable[Response]]:
    async def checked(request: Request) -> Response:
        try:
            _refuse_others(request)
            document = await handler(request)
            return _json({} if document is None else document, status_code)
        except PermissionError as error:
            return _json(error_body(FORBIDDEN, str(error)), status_code=403)
        except ValueError as error:
            return _json(error_body(INVALID_REQUEST, str(error)), status_code=400)
        except KeyError as error:
            return _json(error_body(NOT_FOUND, error.args[0]), status_code=404)

    return checked

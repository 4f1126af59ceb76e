"""One emulated BitScale without a socket: state, faults, request log, rate limit and webhooks.

The server puts it behind HTTP. It can be used without one, on a running event loop::

    backend = Backend(Settings(seed=7), "http://127.0.0.1/api/v1")
    response = await backend.respond("GET", "/api/v1/user/me", [(b"api_key", API_KEY.encode())])

A request is recorded, counted against the rate limit and matched with an endpoint and its faults. Then the
work is done (or not), an injected latency passes, and the response is returned. The work comes before the
latency, so that a client which gives up early has started a run, as with the real service.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from airflow_provider_bitscale.emulator import responses
from airflow_provider_bitscale.emulator.contracts import CONTRACTS
from airflow_provider_bitscale.emulator.errors import INVALID_API_KEY, ApiError
from airflow_provider_bitscale.emulator.faults import Fault, Faults, Stage
from airflow_provider_bitscale.emulator.rate_limit import Decision, RateLimiter
from airflow_provider_bitscale.emulator.request_log import LONGEST_LOG, RecordedRequest
from airflow_provider_bitscale.emulator.responses import Response
from airflow_provider_bitscale.emulator.routing import ApiRequest, Endpoint, find_endpoint
from airflow_provider_bitscale.emulator.run_waiters import RunWaiters
from airflow_provider_bitscale.emulator.runs import Run, RunScript
from airflow_provider_bitscale.emulator.settings import Settings
from airflow_provider_bitscale.emulator.state import World
from airflow_provider_bitscale.emulator.validation import ASYNC
from airflow_provider_bitscale.emulator.webhooks import WebhookSender

WhileConnected = Callable[[Coroutine[Any, Any, bool]], Awaitable[bool]]
"""Runs a coroutine and returns its result, or False as soon as the client leaves."""

_DEFAULT_FAILURE = "The run failed because the emulator was told to fail it."


async def _always_connected(work: Coroutine[Any, Any, bool]) -> bool:
    return await work


class Backend:
    """One emulated BitScale. All methods belong to one event loop.

    :param base_url: where clients reach the API; it begins every ``poll_url``.
    """

    def __init__(self, settings: Settings, base_url: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._settings = settings
        self._contract = CONTRACTS[settings.contract]
        self._base_url = base_url
        self._rate_limit_hints = settings.rate_limit_hints or self._contract.rate_limit_hints
        self._sync_cut_off = settings.sync_cut_off if self._contract.bounded_sync else None
        self._set_start_state()

    def _set_start_state(self) -> None:
        settings = self._settings
        # An id from before a reset, or from another process, must not name a run of this world.
        id_seed = secrets.randbits(64) if settings.seed is None else settings.seed
        self.world = World(
            settings, partial(self._contract.run_id, id_seed), blank_misses=self._contract.blank_misses
        )
        self.faults = Faults(self.world.seed, tuple(endpoint.name for endpoint in self._contract.endpoints))
        self.request_log: deque[RecordedRequest] = deque(maxlen=LONGEST_LOG)
        self.rate_limited = 0
        self._limiter = None if settings.rate_limit is None else RateLimiter(*settings.rate_limit)
        self._waiters = RunWaiters(self._clock)
        self.webhooks = WebhookSender(settings, self._waiters, self._clock)

    async def reset(self) -> None:
        """Return to the start state. Deliveries are dropped; requests that wait for a run are cut off."""
        await self.close()
        self._set_start_state()

    async def close(self) -> None:
        """Drop deliveries and release every request that waits for a run."""
        self._waiters.wake_all()
        await self.webhooks.close()

    def state(self) -> dict[str, Any]:
        """Return runs, credits, deliveries and counts as they are now (``EmulatorControl.state``)."""
        return {
            **self.world.snapshot(self._clock()),
            "deliveries": self.webhooks.deliveries,
            "rate_limited": self.rate_limited,
        }

    def add_fault(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Inject a fault (``EmulatorControl.add_fault``).

        :raises ValueError: an unknown kind or a wrong field.
        """
        self.faults.add(kind, fields, self._clock())

    def finish_run(self, run_id: str, status: str) -> None:
        """End a run now and answer the request that waits for it.

        :raises KeyError: there is no such run.
        :raises ValueError: the run has ended, or ``status`` is neither ``completed`` nor ``failed``.
        """
        self.world.finish(run_id, status, self._clock())
        self._waiters.wake(run_id)

    async def respond(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes = b"",
        while_connected: WhileConnected = _always_connected,
    ) -> Response | None:
        """Return the response to one request to the API, when it is due.

        :param target: the raw path, with its query.
        :param headers: names in lower case, with their values.
        :return: None if the connection is to be cut, or the client has left.
        """
        request = RecordedRequest(self._clock(), method, target, list(headers), body)
        self.request_log.append(request)
        by_name = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        decision = self._count(by_name, request.at)
        if decision is None or decision.allowed:
            response = await self._respond(request, by_name, while_connected)
        else:
            response = responses.too_many_requests()
        if response is None:
            return None
        request.status = response.status
        if response.status == 429:
            self.rate_limited += 1
        if decision is not None:
            told = decision.headers_for(self._rate_limit_hints, request.at)
            response = replace(response, headers=(*response.headers, *told))
        return response

    def _count(self, headers: Mapping[str, str], now: float) -> Decision | None:
        if self._limiter is None:
            return None
        key = self._key_of(headers)
        return self._limiter.count("the valid key" if key == self._valid_key else f"key {key}", now)

    def _key_of(self, headers: Mapping[str, str]) -> str:
        return headers.get(self._contract.key_header.lower(), "")

    @property
    def _valid_key(self) -> str:
        return self._contract.key_after(self.world.key_rotations, self.world.seed)

    async def _respond(
        self, request: RecordedRequest, headers: Mapping[str, str], while_connected: WhileConnected
    ) -> Response | None:
        path, _, query = request.target.partition("?")
        endpoint: Endpoint | None = None
        params: dict[str, str] = {}
        response: Response | None = None
        try:
            endpoint, params = find_endpoint(self._contract.endpoints, request.method, path)
        except ApiError as error:
            response = _refused(error)
        faults = self.faults.of_request(None if endpoint is None else endpoint.name, request.at)
        request.faults = faults.names
        fault = faults.answer
        if fault is not None and fault.stage is Stage.INSTEAD:
            response = responses.instead_of_work(fault, request.at)
        elif endpoint is not None:
            call = ApiRequest(
                world=self.world,
                base_url=self._base_url,
                params=params,
                headers=headers,
                query=query,
                body=request.body,
                now=request.at,
                draw_script=lambda: self._draw_script(request),
            )
            response = await self._work(endpoint, call, request, while_connected)
        if response is not None and fault is not None and fault.stage is Stage.AFTER:
            response = responses.after_work(fault, response)
        if faults.latency > 0 and not await while_connected(asyncio.sleep(faults.latency, True)):
            return None
        return response

    async def _work(
        self, endpoint: Endpoint, call: ApiRequest, request: RecordedRequest, while_connected: WhileConnected
    ) -> Response | None:
        try:
            if self._key_of(call.headers) != self._valid_key:
                header = self._contract.key_header
                raise ApiError(401, INVALID_API_KEY, f"the {header} header is missing or wrong")
            result = endpoint.handle(call)
        except ApiError as error:
            return _refused(error)
        document = await self._accepted(result, while_connected) if isinstance(result, Run) else result
        if document is None:
            return None
        faults = self.faults.of_answer(endpoint.name, document.get("status"), request.at)
        request.faults = (*request.faults, *(fault.kind for fault in faults))
        altered = responses.alter_fields(document, faults, self._contract.null_until_true)
        return responses.json_response(200, altered)

    async def _accepted(self, run: Run, while_connected: WhileConnected) -> dict[str, Any] | None:
        """Return the answer to an accepted run: at once, or when a sync run need not be waited for any more.

        :return: None if the client has left, or a reset has dropped the run.
        """
        world = self.world
        if run.request.mode == ASYNC:
            if run.request.webhook_url is not None:
                self.webhooks.schedule(run, run.request.webhook_url)
        elif not await while_connected(self._ended_or_cut_off(run)):
            return None
        return self._contract.answer_run(world, run, self._base_url, self._clock())

    async def _ended_or_cut_off(self, run: Run) -> bool:
        """Wait until the run has ended or has taken too long to wait for; False if woken before either."""
        try:
            return await asyncio.wait_for(self._waiters.wait(run), self._sync_cut_off)
        except asyncio.TimeoutError:
            return True

    def _draw_script(self, request: RecordedRequest) -> RunScript:
        faults = self.faults.of_run(request.at)
        request.faults = (*request.faults, *(fault.kind for fault in faults))
        return _script(faults)


def _script(faults: Iterable[Fault]) -> RunScript:
    script = RunScript()
    for fault in faults:
        fields = fault.fields
        if fault.kind == "read_lag":
            script = replace(script, unseen_seconds=fields["seconds"], unseen_polls=fields["polls"])
        elif fault.kind == "run_never_ends":
            script = replace(script, endless=True)
        else:
            script = replace(script, failure=fields["message"] or _DEFAULT_FAILURE)
    return script


def _refused(error: ApiError) -> Response:
    return responses.error_response(error.status, error.code, error.message)

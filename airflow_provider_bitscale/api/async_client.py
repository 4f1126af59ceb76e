"""The async client: aiohttp, around the pure parts of this package."""

from __future__ import annotations

import asyncio
import random
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_bitscale.api.answer_body import AnswerBody, BodyError
from airflow_provider_bitscale.api.async_connections import (
    open_session,
    proxy_headers,
    read_body,
    why_unanswered,
)
from airflow_provider_bitscale.api.call import Call, Partial, Reader
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.contracts import Contract, contract_for
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.models import Grid, Run, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.network import causes, tell_once
from airflow_provider_bitscale.api.pacing import AnsweredLate, pacer_for
from airflow_provider_bitscale.api.retry import MAX_ATTEMPTS, SendAgain, after_failure

T = TypeVar("T")

MAX_CONNECTIONS = 64


@dataclass(frozen=True)
class _Request(Generic[T]):
    """A call in the terms of aiohttp."""

    call: Call[T]
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    timeout: aiohttp.ClientTimeout
    reader: Reader[T]


class AsyncClient:
    """The twin of :class:`~airflow_provider_bitscale.api.client.Client` for one event loop.

    Use as an async context manager. Methods, errors, retries and pacing are the same, but for the journal of
    a submission and :meth:`~airflow_provider_bitscale.api.client.Client.identify`.

    :param connections: how many requests may be under way at once.
    """

    def __init__(self, config: ClientConfig, connections: int = MAX_CONNECTIONS) -> None:
        self.config = config
        self.contract = contract_for(config)
        self._connections = connections
        self._pacer = pacer_for(config)
        self._queue = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        # For what may be sent only once: the server may just be closing a connection that was kept.
        self._unkept: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncClient:
        for warning in self.config.warnings:
            tell_once(warning)
        trust = self.config.network.trust
        tls = True if trust is None else trust.context()
        self._session = open_session(self.config, tls, self._connections)
        self._unkept = open_session(self.config, tls, self._connections, keep=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._session, self._unkept):
            if session is not None:
                await session.close()

    async def get_current_user(self) -> User:
        """Endpoint 1, Get Current User (v1.1.0 only)."""
        return await self.send(self.contract.get_current_user())

    async def list_workspaces(self) -> list[Workspace]:
        """Endpoint 2, List Workspaces (v1.1.0 only)."""
        return await self.send(self.contract.list_workspaces())

    async def get_workspace(self, workspace_id: str | None = None) -> Workspace:
        """Endpoint 3, Get Workspace Details."""
        return await self.send(self.contract.get_workspace(workspace_id))

    async def list_grids(self, search: str | None = None, workspace_id: str | None = None) -> list[Grid]:
        """Endpoint 4, List Grids in a Workspace."""
        listing = self.contract.list_grids(search, workspace_id)
        while (call := listing.next_call()) is not None:
            listing.add(await self.send(call))
        return listing.grids

    async def get_grid(self, grid_id: str) -> Grid:
        """Endpoint 5, Get Grid Details."""
        return await self.send(self.contract.get_grid(grid_id))

    async def get_run_recipe(self, grid_id: str, output_columns: Sequence[str] | None = None) -> RunRecipe:
        """What a run of a grid takes (workspace-key only)."""
        return await self.send(self.contract.get_run_recipe(grid_id, output_columns))

    async def needed_recipe(self, grid_id: str) -> RunRecipe | None:
        """The recipe that names a grid's inputs, or None under a contract that names them by column id."""
        return await self.get_run_recipe(grid_id) if self.contract.needs_recipe else None

    async def run_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: str = "async",
        output_columns: Sequence[str] | None = None,
        webhook_url: str | None = None,
        timeout: float | None = None,
        recipe: RunRecipe | None = None,
    ) -> Run:
        """Endpoint 6, Run a Grid, as in the sync client."""
        return await self.send(
            self.contract.run_grid(
                grid_id,
                inputs,
                mode=mode,
                output_columns=output_columns,
                webhook_url=webhook_url,
                recipe=recipe or await self.needed_recipe(grid_id),
                timeout=timeout,
            )
        )

    async def get_run(self, grid_id: str, run_id: str) -> Run:
        """Endpoint 6, Polling for Results."""
        return await self.send(self.contract.get_run(grid_id, run_id))

    async def rotate_api_key(self) -> str:
        """A new API key (workspace-key only), as in the sync client."""
        return await self.send(self.contract.rotate_api_key())

    def run_poller(self, grid_id: str, run_id: str) -> Callable[[], Awaitable[Run]]:
        """A function that polls a run, one attempt each time, for a caller that has its own patience."""
        return self._poller(self.contract.get_run(grid_id, run_id))

    def workspace_poller(self, workspace_id: str | None = None) -> Callable[[], Awaitable[Workspace]]:
        """A function that asks for a workspace, one attempt each time."""
        return self._poller(self.contract.get_workspace(workspace_id))

    def take_slot(self) -> float:
        """Take the slot of one request, if the rate limit allows one now; the request is :meth:`send_now`.

        For a caller who decides only now which request is best, and stands in no line.

        :return: 0 if a slot was taken; else seconds after which there may be one.
        """
        return self._pacer.take()

    async def send_now(self, prepare: Callable[[Contract], Call[T]]) -> T:
        """Send a call for which a slot was taken: one attempt, and no waiting."""
        try:
            request = self._request(prepare(self.contract))
        except BaseException:
            self._pacer.failed()
            raise
        return await self._send(request, patient=False, has_slot=True)

    @property
    def requests_per_second(self) -> float | None:
        """The rate limit as far as it is known; for people to read."""
        return self._pacer.limit.per_second

    async def send(self, call: Call[T], *, patient: bool = True) -> T:
        """Send a call, again where that is safe, and read the answer.

        :param patient: False for one attempt, and no long wait for the rate limit.
        """
        return await self._send(self._request(call), patient=patient)

    def _poller(self, call: Call[T]) -> Callable[[], Awaitable[T]]:
        # A poll is sent a thousand times over: what does not change is made once.
        request = self._request(call)
        return lambda: self._send(request, patient=False)

    def _request(self, call: Call[T]) -> _Request[T]:
        return _Request(
            call,
            URL(call.url, encoded=True),
            CIMultiDict(call.headers),
            self._timeout(call),
            Reader(call, self.config),
        )

    def _timeout(self, call: Call[Any]) -> aiohttp.ClientTimeout:
        # In all, and not for each piece: a server, or a proxy before it, may let bytes trickle for ever.
        connect, answer = self.config.timeout, call.timeout or self.config.timeout
        if call.doubt is None:
            return aiohttp.ClientTimeout(total=answer, sock_connect=connect)
        # Whoever runs out of time in the line for a connection has sent nothing; that must be told apart.
        return aiohttp.ClientTimeout(total=connect + answer, connect=connect)

    async def _send(self, request: _Request[T], *, patient: bool, has_slot: bool = False) -> T:
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            if not has_slot:
                await self._pacer.wait_async(self._queue, patient=patient)
            left_at = time.monotonic()
            try:
                return await self._attempt(request)
            except BitScaleError as error:
                step = after_failure(
                    error,
                    doubt=request.call.doubt,
                    attempt=attempt,
                    elapsed=time.monotonic() - started,
                    jitter=random.random(),  # noqa: S311
                    max_attempts=MAX_ATTEMPTS if patient else 1,
                )
                if not isinstance(step, SendAgain):
                    # It may be another error than that of the attempt.
                    step.error.left_at = left_at
                    raise step.error from None
                await asyncio.sleep(step.after)

    async def _attempt(self, request: _Request[T]) -> T:
        session = self._session if request.call.doubt is None else self._unkept
        if session is None:
            raise RuntimeError("AsyncClient must be used as an async context manager")
        late = AnsweredLate(self._pacer) if request.call.timeout else None
        answer: aiohttp.ClientResponse | None = None
        body = AnswerBody(None)
        fate = SimpleNamespace(connected=False)
        try:
            async with session.request(
                request.call.method,
                request.url,
                headers=request.headers,
                data=request.call.body,
                timeout=request.timeout,
                allow_redirects=False,
                proxy_headers=proxy_headers(self.config.network),
                trace_request_ctx=fate,
            ) as response:
                answer, body = response, AnswerBody(response.headers.get("Content-Encoding"))
                whole = await read_body(response, body)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError, BodyError) as error:
            counted, got = late is not None and late.over(), Partial()
            if answer is None:
                self._pacer.failed(counted=counted)
            else:
                self._pacer.answered(answer.status, answer.headers, counted=counted)
                got = Partial(answer.status, answer.headers, body.so_far)
            reason = why_unanswered(error)
            return request.call.unanswered(
                self.config, list(causes(error)), reason, sent=fate.connected, got=got
            )
        except BaseException:
            self._pacer.failed(counted=late is not None and late.over())
            raise
        self._pacer.answered(response.status, response.headers, counted=late is not None and late.over())
        return request.reader.read(response.status, response.headers, whole)


_Leases = dict[ClientConfig, tuple[AsyncClient, int]]
_leases: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Leases] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def shared_client(config: ClientConfig) -> AsyncIterator[AsyncClient]:
    """The client that all in this event loop share, open for as long as one of them holds it."""
    leases = _leases.setdefault(asyncio.get_running_loop(), {})
    client, holders = leases.get(config, (None, 0))
    if client is None:
        client = await AsyncClient(config).__aenter__()
    leases[config] = (client, holders + 1)
    try:
        yield client
    finally:
        client, holders = leases[config]
        if holders > 1:
            leases[config] = (client, holders - 1)
        else:
            del leases[config]
            await client.__aexit__()

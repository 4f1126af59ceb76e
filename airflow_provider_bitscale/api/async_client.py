"""The async client: aiohttp, around the pure parts of this package."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import aiohttp

from airflow_provider_bitscale.api import async_connections
from airflow_provider_bitscale.api.answer_body import AnswerBody, BodyError
from airflow_provider_bitscale.api.async_request import Request
from airflow_provider_bitscale.api.attempts import Attempts
from airflow_provider_bitscale.api.call import Call, Partial
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.contracts import Contract
from airflow_provider_bitscale.api.credentials import Credentials, ReadKeyAsync
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.limit.booked_slots import BookedSlots
from airflow_provider_bitscale.api.limit.pacer import AnsweredLate, Pacer
from airflow_provider_bitscale.api.limit.shared_slots import Line
from airflow_provider_bitscale.api.metrics import count_request
from airflow_provider_bitscale.api.models import Grid, Run, RunRecipe, User, Workspace
from airflow_provider_bitscale.api.network import causes, warn_once
from airflow_provider_bitscale.api.shared_state.hints import Hints

T = TypeVar("T")

MAX_CONNECTIONS = 64


class AsyncClient:
    """The twin of :class:`~airflow_provider_bitscale.api.client.Client` for one event loop.

    Use as an async context manager. Methods, errors, retries and pacing are the same, except the observer
    of a submission and :meth:`.Client.identify`.

    :param config: credentials and settings.
    :param read_key: as in the sync client, but a coroutine function.
    :param connections: how many requests may be under way at once.
    """

    def __init__(
        self,
        config: ClientConfig,
        read_key: ReadKeyAsync | None = None,
        *,
        connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._credentials = Credentials(config, read_key)
        self._connections = connections
        self._slots = BookedSlots()
        self._line = Line()
        self._session: aiohttp.ClientSession | None = None
        # For requests that may be sent only once: the server may just be closing a kept connection.
        self._unkept: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncClient:
        for warning in self.config.warnings:
            warn_once(warning)
        trust = self.config.network.trust
        tls = True if trust is None else trust.context()
        self._session = async_connections.open_session(self.config, tls, self._connections)
        self._unkept = async_connections.open_session(self.config, tls, self._connections, keep=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_back_slots()
        for session in (self._session, self._unkept):
            if session is not None:
                await session.close()

    @property
    def config(self) -> ClientConfig:
        """Settings, and the API key that is in use now."""
        return self._credentials.access.config

    @property
    def contract(self) -> Contract:
        """Prepares the calls."""
        return self._credentials.access.contract

    @property
    def hints(self) -> Hints:
        """What processes that share the limit tell each other of its grids."""
        return self._credentials.access.hints

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
        """Return what a run of a grid takes (workspace-key only)."""
        return await self.send(self.contract.get_run_recipe(grid_id, output_columns))

    async def needed_recipe(self, grid_id: str) -> RunRecipe | None:
        """Return the recipe with a grid's input names; None if the contract names inputs by column id."""
        return await self.get_run_recipe(grid_id) if self.contract.needs_recipe else None

    async def run_grid(
        self,
        grid_id: str,
        inputs: Mapping[str, Any],
        *,
        mode: Literal["async", "sync"] = "async",
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
        """Return a new API key (workspace-key only), as in the sync client."""
        return await self.send(self.contract.rotate_api_key())

    def run_poller(self, grid_id: str, run_id: str) -> Callable[[], Awaitable[Run]]:
        """Return a function that polls a run: one attempt a call, no long wait for the rate limit."""
        return self._poller(self.contract.get_run(grid_id, run_id))

    def workspace_poller(self, workspace_id: str | None = None) -> Callable[[], Awaitable[Workspace]]:
        """Return a function that asks for a workspace, one attempt each time."""
        return self._poller(self.contract.get_workspace(workspace_id))

    async def book_slot(self) -> float:
        """Book the slot of one request, if the rate limit allows one now.

        For a caller that picks its next request only when it may be sent, and then calls :meth:`take_slot`;
        whoever takes none for a while calls :meth:`give_back_slots`.

        :return: 0 if a slot is booked; else seconds after which one may be free.
        """
        return await self._slots.book(self._credentials.access.pacer)

    def take_slot(self) -> bool:
        """Take a slot that is booked, if there is one; its request is :meth:`send_now`."""
        return self._slots.take(self._credentials.access.pacer)

    def give_back_slots(self) -> None:
        """Give back what was booked ahead, for others to use."""
        self._slots.give_back()

    async def send_now(self, prepare: Callable[[Contract], Call[T]]) -> T:
        """Send a call for which a slot was taken: one attempt, and no waiting, unless the key is renewed."""
        pacer = self._slots.use()
        try:
            request = self._request(prepare(self.contract))
        except BaseException:
            pacer.failed()
            raise
        return await self._send(request, patient=False, slot_of=pacer)

    @property
    def requests_per_second(self) -> float | None:
        """The rate limit as far as it is known; for people to read."""
        return self._credentials.access.pacer.limit.per_second

    async def send(self, call: Call[T], *, patient: bool = True) -> T:
        """Send a call, again where that is safe, and read the answer.

        :param patient: False for one attempt, and no long wait for the rate limit.
        """
        return await self._send(self._request(call), patient=patient)

    def _poller(self, call: Call[T]) -> Callable[[], Awaitable[T]]:
        # A poll is sent thousands of times: what does not change is made once.
        request = self._request(call)

        def poll() -> Awaitable[T]:
            nonlocal request
            request = self._current(request)
            return self._send(request, patient=False)

        return poll

    def _current(self, request: Request[T]) -> Request[T]:
        is_current = request.call.is_about_key or request.access is self._credentials.access
        return request if is_current else self._request(request.call)

    def _request(self, call: Call[T]) -> Request[T]:
        return Request.of(call, self._credentials.access)

    async def _send(self, request: Request[T], *, patient: bool, slot_of: Pacer | None = None) -> T:
        attempts = Attempts(request.call, patient=patient)
        while True:
            request = self._current(request)
            pacer = slot_of or request.access.pacer
            if slot_of is None:
                await pacer.wait_async(self._line, patient=patient)
            slot_of, request = None, self._current(request)
            if request.access.pacer is not pacer:
                # The key was renewed meanwhile, and the slot is one of the old key.
                pacer.failed()
                continue
            attempts.begin()
            try:
                return await self._attempt(request)
            except BitScaleError as error:
                renewed = attempts.wants_new_key(error) and await self._credentials.arenew(
                    request.access, attempts.left_at
                )
                pause = 0.0 if renewed else attempts.pause_after(error)
            await asyncio.sleep(pause)

    async def _attempt(self, request: Request[T]) -> T:
        config, pacer = request.access.config, request.access.pacer
        session = self._session if request.call.ambiguity is None else self._unkept
        if session is None:
            raise RuntimeError("AsyncClient must be used as an async context manager")
        late, began = AnsweredLate(pacer) if request.call.timeout else None, time.monotonic()
        answer: tuple[aiohttp.ClientResponse, AnswerBody] | None = None
        sending = async_connections.Sending()
        try:
            async with session.request(
                request.call.method,
                request.url,
                headers=request.headers,
                data=request.call.body,
                timeout=request.timeout,
                allow_redirects=False,
                proxy_headers=async_connections.proxy_headers(config.network),
            ) as response:
                body = AnswerBody(response.headers.get("Content-Encoding"))
                answer = response, body
                whole = await async_connections.read_body(response, body)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError, BodyError) as error:
            count_request(request.call.endpoint, None)
            counted, got = late is not None and late.over(), Partial()
            if answer is None:
                pacer.failed(counted=counted)
            else:
                response, body = answer
                _note_answer(pacer, response, began, counted=counted)
                got = Partial(response.status, response.headers, body.so_far)
            chain, reason = list(causes(error)), async_connections.why_unanswered(error)
            return request.call.unanswered(config, chain, reason, sent=sending.connected, got=got)
        except BaseException:
            count_request(request.call.endpoint, None)
            pacer.failed(counted=late is not None and late.over())
            raise
        count_request(request.call.endpoint, response.status)
        _note_answer(pacer, response, began, counted=late is not None and late.over())
        return request.reader.read(response.status, response.headers, whole)


def _note_answer(pacer: Pacer, response: aiohttp.ClientResponse, began: float, *, counted: bool) -> None:
    pacer.answered(response.status, response.headers, took=time.monotonic() - began, counted=counted)

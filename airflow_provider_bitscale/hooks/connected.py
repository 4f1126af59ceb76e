"""From an Airflow connection to the clients that use its credentials, even if these change meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import amask_secret, mask_secret

from airflow_provider_bitscale.api.errors import AuthenticationError, ConfigurationError
from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.hooks.connection import config_from_fields, webhook_settings_from_fields
from airflow_provider_bitscale.runs.poll_loop import watch_async
from airflow_provider_bitscale.runs.polling import Decision, Outcome, Wait

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_bitscale.api.async_client import AsyncClient
    from airflow_provider_bitscale.api.client import Client
    from airflow_provider_bitscale.api.config import ClientConfig
    from airflow_provider_bitscale.api.deliveries import WebhookSettings

T = TypeVar("T")

CONN_TYPE = "bitscale"


class Connected:
    """What a hook has of its connection: the configuration, read once, and the clients made from it.

    Whoever polls has the connection read anew when its key is refused: it may have been rotated meanwhile.
    """

    def __init__(self, bitscale_conn_id: str) -> None:
        super().__init__()
        self.bitscale_conn_id = bitscale_conn_id
        self._config: ClientConfig | None = None
        # Of the same reading.
        self._webhook_settings: WebhookSettings | None = None
        # When reading began, for those in an event loop whose key is refused together.
        self._read_at = 0.0

    @property
    def config(self) -> ClientConfig:
        """The connection as a configuration, read when first asked for.

        :raises ConfigurationError: naming everything that is wrong with the connection.
        """
        if self._config is None:
            config, secrets = self._take(BaseHook.get_connection(self.bitscale_conn_id))
            mask_secret(list(secrets))
            return config
        return self._config

    @property
    def webhook_settings(self) -> WebhookSettings | None:
        """How deliveries for this connection are signed; None if it has no ``webhook_secret``.

        :raises ConfigurationError: naming everything that is wrong with the connection.
        """
        _ = self.config
        return self._webhook_settings

    async def aconfig(self) -> ClientConfig:
        """Async twin of :attr:`config`; reads the connection without blocking the event loop."""
        config = self._config
        if config is None:
            self._read_at = time.monotonic()
            try:
                connection = await BaseHook.aget_connection(self.bitscale_conn_id)
            except AirflowNotFoundException:
                # `dag.test()` runs triggers in a process that knows the metadata database only the sync way.
                connection = await asyncio.to_thread(BaseHook.get_connection, self.bitscale_conn_id)
            config, secrets = self._take(connection)
            await amask_secret(list(secrets))
        return config

    @cached_property
    def client(self) -> Client:
        """The sync client behind this hook."""
        from airflow_provider_bitscale.api.client import Client

        return Client(self.config)

    def get_conn(self) -> Client:
        """The sync client behind this hook."""
        return self.client

    @asynccontextmanager
    async def aclient(self) -> AsyncIterator[AsyncClient]:
        """The async client that all hooks with this connection share in an event loop, open in the block."""
        with airflow_errors(self.bitscale_conn_id):
            config = await self.aconfig()

            from airflow_provider_bitscale.api.async_client import shared_client

            async with shared_client(config) as client:
                yield client

    def renew_key(self) -> bool:
        """Read the connection anew, since its key was refused; whether there is another key.

        :raises ConfigurationError: it now leads to another workspace, for which the run was not meant.
        """
        before = self.config
        self._reread()
        after = self.config
        if (after.base_url, after.workspace_id) != (before.base_url, before.workspace_id):
            with airflow_errors(self.bitscale_conn_id):
                raise ConfigurationError("it was changed meanwhile, and leads to another workspace")
        return after != before

    def _rereading_poller(self, poller: Callable[[Client], Callable[[], T]]) -> Callable[[], T]:
        """A function that polls, and reads the connection anew when its key is refused."""
        with airflow_errors(self.bitscale_conn_id):
            client = self.client
            poll = poller(client)

        def look() -> T:
            nonlocal client, poll
            try:
                return poll()
            except AuthenticationError:
                if self.client is client:
                    self._reread()
                if self.config == client.config:
                    raise
                client = self.client
                poll = poller(client)
                return poll()

        return look

    async def _awatch_rereading(
        self,
        poller: Callable[[AsyncClient], Callable[[], Awaitable[T]]],
        decision: Decision[T],
        first: Wait | None = None,
        hint: asyncio.Event | None = None,
    ) -> Outcome:
        """Poll until the decision is an outcome; as :meth:`_rereading_poller` where the key is refused."""
        async with AsyncExitStack() as clients:
            client = await clients.enter_async_context(self.aclient())
            poll = poller(client)

            async def look() -> T:
                nonlocal client, poll
                try:
                    return await poll()
                except AuthenticationError as error:
                    if await self._config_after(client.config, error.left_at) == client.config:
                        raise
                    client = await clients.enter_async_context(self.aclient())
                    poll = poller(client)
                    return await poll()

            return await watch_async(look, decision, first, hint)

    @asynccontextmanager
    async def batch_connection(self, connections: int) -> AsyncIterator[BatchConnection]:
        """A client of its own for a batch, renewed when the key is rotated; open in the block.

        :param connections: requests that may be under way at once.
        """
        from airflow_provider_bitscale.api.async_client import AsyncClient

        async with AsyncExitStack() as clients:

            async def open_client(config: ClientConfig) -> AsyncClient:
                return await clients.enter_async_context(AsyncClient(config, connections))

            yield BatchConnection(await open_client(self.config), open_client, self._config_after)

    async def _config_after(self, refused: ClientConfig, left_at: float) -> ClientConfig:
        """The configuration as read after a request had left, once for all whose key was refused together."""
        if self._config == refused and self._read_at <= left_at:
            self._config = None
        return await self.aconfig()

    def _take(self, connection: Connection) -> tuple[ClientConfig, Sequence[str]]:
        """Keep what a connection says; its configuration, and the secrets to be masked."""
        with airflow_errors(self.bitscale_conn_id):
            # A type that is not told is nobody's mistake: a secrets backend may leave it out.
            if connection.conn_type not in (None, "", CONN_TYPE):
                raise ConfigurationError(
                    f"it is of type {connection.conn_type!r}, not {CONN_TYPE!r}: change its type, or name "
                    "another connection as bitscale_conn_id"
                )
            self._config = _read(connection)
            self._webhook_settings = settings = webhook_settings_from_fields(connection.extra)
        return self._config, [*self._config.secrets, *(() if settings is None else (settings.secret,))]

    def _reread(self) -> None:
        """Forget the connection and its client, to be read and made anew."""
        self.client.close()
        del self.client
        self._config = None


class BatchConnection:
    """The client of a batch. One whose key was refused stays open: its requests may still be answered."""

    def __init__(
        self,
        client: AsyncClient,
        open_client: Callable[[ClientConfig], Awaitable[AsyncClient]],
        config_after: Callable[[ClientConfig, float], Awaitable[ClientConfig]],
    ) -> None:
        self.client = client
        self._open_client = open_client
        self._config_after = config_after
        self._renewing = asyncio.Lock()

    async def renew(self, refused: AsyncClient, left_at: float) -> bool:
        """Read the connection anew, once for all requests that were refused together.

        :param left_at: when the request left, in seconds of the monotonic clock.
        :return: whether there is another key.
        """
        async with self._renewing:
            if self.client is refused:
                config = await self._config_after(refused.config, left_at)
                if config == refused.config:
                    return False
                self.client = await self._open_client(config)
            return True


def _read(connection: Connection) -> ClientConfig:
    return config_from_fields(
        host=connection.host,
        port=connection.port,
        schema=connection.schema,
        password=connection.password,
        extra=connection.extra,
    )

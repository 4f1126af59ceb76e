"""From an Airflow connection to the clients that use its credentials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, conf
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import amask_secret, mask_secret

from airflow_provider_bitscale.api.errors import ConfigurationError
from airflow_provider_bitscale.exceptions import airflow_errors
from airflow_provider_bitscale.hooks.connection_config import (
    OPTIONS,
    SECTION,
    config_from_connection,
    webhook_settings_from_fields,
)
from airflow_provider_bitscale.hooks.metrics import send_to_airflow

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_bitscale.api.async_client import AsyncClient
    from airflow_provider_bitscale.api.client import Client
    from airflow_provider_bitscale.api.config import ClientConfig
    from airflow_provider_bitscale.api.deliveries import WebhookSettings

CONN_TYPE = "bitscale"


class ClientProvider:
    """The configuration that a hook reads from its connection, once, and the clients made from it.

    The clients have the connection read again when BitScale refuses the key.
    """

    def __init__(self, bitscale_conn_id: str) -> None:
        super().__init__()
        self.bitscale_conn_id = bitscale_conn_id
        self._config: ClientConfig | None = None
        # Of the same reading.
        self._webhook_settings: WebhookSettings | None = None

    @property
    def config(self) -> ClientConfig:
        """The connection as a configuration, read when first asked for.

        :raises ConfigurationError: naming everything that is wrong with the connection.
        """
        return self._config or self._load()

    @property
    def webhook_settings(self) -> WebhookSettings | None:
        """How deliveries for this connection are signed; None if it has no ``webhook_secret``.

        :raises ConfigurationError: naming everything that is wrong with the connection.
        """
        _ = self.config
        return self._webhook_settings

    async def aconfig(self) -> ClientConfig:
        """Async twin of :attr:`config`; reads the connection without blocking the event loop."""
        return self._config or await self._aload()

    @cached_property
    def client(self) -> Client:
        """The sync client behind this hook."""
        from airflow_provider_bitscale.api.client import Client

        return Client(self.config, self._read_key)

    def get_conn(self) -> Client:
        """Return the sync client behind this hook."""
        return self.client

    @asynccontextmanager
    async def aclient(self) -> AsyncIterator[AsyncClient]:
        """Provide the async client that all hooks of a connection share in an event loop."""
        with airflow_errors(self.bitscale_conn_id):
            config = await self.aconfig()

            from airflow_provider_bitscale.api.shared_client import shared_client

            async with shared_client(config, self._aread_key, self.bitscale_conn_id) as client:
                yield client

    def batch_client(self, connections: int) -> AsyncClient:
        """Return an async client of its own for a batch, to be opened."""
        from airflow_provider_bitscale.api.async_client import AsyncClient

        return AsyncClient(self.config, self._aread_key, connections=connections)

    def _read_key(self) -> str:
        return self._load().api_key

    async def _aread_key(self) -> str:
        return (await self._aload()).api_key

    def _load(self) -> ClientConfig:
        config, secrets = self._take(BaseHook.get_connection(self.bitscale_conn_id), _options())
        mask_secret(list(secrets))
        return config

    async def _aload(self) -> ClientConfig:
        try:
            connection = await BaseHook.aget_connection(self.bitscale_conn_id)
        except AirflowNotFoundException:
            # `dag.test()` runs triggers in a process that knows the metadata database only the sync way.
            connection = await asyncio.to_thread(BaseHook.get_connection, self.bitscale_conn_id)
        # A command or a secrets backend may have to be asked for them.
        config, secrets = self._take(connection, await asyncio.to_thread(_options))
        await amask_secret(list(secrets))
        return config

    def _take(
        self, connection: Connection, options: Mapping[str, str | None]
    ) -> tuple[ClientConfig, Sequence[str]]:
        """Keep what a connection says; its configuration, and the secrets to be masked.

        :param options: of the whole deployment.
        :raises ConfigurationError: naming everything that is wrong with it; or it was read before, and leads
            to another workspace now.
        """
        with airflow_errors(self.bitscale_conn_id):
            # A secrets backend may leave the type out.
            if connection.conn_type not in (None, "", CONN_TYPE):
                raise ConfigurationError(
                    f"it is of type {connection.conn_type!r}, not {CONN_TYPE!r}: change its type, or name "
                    "another connection as bitscale_conn_id"
                )
            config, before = config_from_connection(connection, options), self._config
            if before is not None and _target(config) != _target(before):
                raise ConfigurationError(
                    "it was changed meanwhile, and leads to another workspace or contract"
                )
            settings = webhook_settings_from_fields(connection.extra)
            self._config, self._webhook_settings = config, settings
            send_to_airflow()
        return config, [*config.secrets, *(() if settings is None else (settings.secret,))]


def _options() -> dict[str, str | None]:
    """Read the settings of the whole deployment, which Airflow may have in many places."""
    return {name: conf.get(SECTION, name, fallback=None) for name in OPTIONS}


def _target(config: ClientConfig) -> tuple[str, str | None, str]:
    return config.base_url, config.workspace_id, config.api_contract

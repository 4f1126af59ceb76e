"""One async client for all in an event loop that use the same configuration."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow_provider_bitscale.api.async_client import AsyncClient
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.credentials import ReadKeyAsync

_Leases = dict[tuple[ClientConfig, str], tuple[AsyncClient, int]]
_leases: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Leases] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def shared_client(
    config: ClientConfig, read_key: ReadKeyAsync | None = None, source: str = ""
) -> AsyncIterator[AsyncClient]:
    """Provide the client that all in this event loop share, open for as long as one of them holds it.

    :param source: names where ``read_key`` reads the key; only those that read it there share a client.
    """
    leases = _leases.setdefault(asyncio.get_running_loop(), {})
    lease = config, source
    client, holders = leases.get(lease, (None, 0))
    if client is None:
        client = await AsyncClient(config, read_key).__aenter__()
    leases[lease] = (client, holders + 1)
    try:
        yield client
    finally:
        client, holders = leases[lease]
        if holders > 1:
            leases[lease] = (client, holders - 1)
        else:
            del leases[lease]
            await client.__aexit__()

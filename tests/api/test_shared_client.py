"""The client that all in an event loop share."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_bitscale.api import AsyncClient
from airflow_provider_bitscale.api.async_client import MAX_CONNECTIONS
from airflow_provider_bitscale.api.shared_client import shared_client
from airflow_provider_bitscale.emulator import Emulator
from tests.support.clients import config_for


@asynccontextmanager
async def two(emulator: Emulator, **changes: Any) -> AsyncIterator[tuple[AsyncClient, AsyncClient]]:
    async with (
        shared_client(config_for(emulator)) as one,
        shared_client(config_for(emulator, **changes)) as other,
    ):
        yield one, other


def test_equal_configurations_share_one_session_and_it_closes_with_the_last(emulator: Emulator) -> None:
    async def scenario() -> None:
        async with two(emulator) as (one, other):
            assert one is other
            async with shared_client(config_for(emulator)) as third:
                assert third is one
            assert (await one.get_current_user()).id == "usr_abc123"
            session = one._session
            assert session is not None
            assert not session.closed
        assert session.closed
        async with shared_client(config_for(emulator)) as later:
            assert later is not one
            assert (await later.get_current_user()).id == "usr_abc123"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "changes",
    [{"api_key": "another-key"}, {"timeout": 1.0}, {"workspace_id": None}, {"shared_state_url": "none"}],
    ids=str,
)
def test_other_configurations_get_their_own(emulator: Emulator, changes: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with two(emulator, **changes) as (one, other):
            assert one is not other

    asyncio.run(scenario())


def test_every_event_loop_has_its_own(emulator: Emulator) -> None:
    seen: list[AsyncClient] = []

    async def scenario(meet: threading.Barrier) -> None:
        async with shared_client(config_for(emulator)) as client:
            await asyncio.to_thread(meet.wait, 10)
            seen.append(client)
            assert (await client.get_current_user()).id == "usr_abc123"

    meet = threading.Barrier(2)
    threads = [threading.Thread(target=asyncio.run, args=(scenario(meet),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == 2
    assert seen[0] is not seen[1]


def test_one_who_fails_or_is_cancelled_leaves_the_others_be(emulator: Emulator) -> None:
    async def hold(leave: asyncio.Event) -> None:
        async with shared_client(config_for(emulator)):
            await leave.wait()
            raise RuntimeError("failed")

    async def scenario() -> None:
        leave = asyncio.Event()
        failing, cancelled = asyncio.ensure_future(hold(leave)), asyncio.ensure_future(hold(asyncio.Event()))
        async with shared_client(config_for(emulator)) as client:
            await asyncio.sleep(0)
            leave.set()
            cancelled.cancel()
            await asyncio.wait({failing, cancelled})
            assert isinstance(failing.exception(), RuntimeError)
            assert cancelled.cancelled()
            assert (await client.get_current_user()).id == "usr_abc123"

    asyncio.run(scenario())


def test_hundreds_share_few_connections_and_nothing_is_left_open(emulator: Emulator) -> None:
    async def one() -> str:
        async with shared_client(config_for(emulator)) as client:
            assert client._session is not None
            assert client._session.connector is not None
            assert client._session.connector.limit == MAX_CONNECTIONS == 64
            return (await client.get_current_user()).id

    async def scenario() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(300)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert asyncio.run(scenario()) == ["usr_abc123"] * 300
        gc.collect()
    assert [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)] == []

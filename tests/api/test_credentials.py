"""A key that is refused is read again, once, and the request is sent once more if there is another one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import (
    AsyncClient,
    AuthenticationError,
    BitScaleError,
    Client,
    ClientConfig,
    ConfigurationError,
)
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.contracts.workspace_key import key_after
from airflow_provider_bitscale.emulator.seed import GRID_ID
from tests.support.clients import RECIPE, config_for, jane, posts

KINDS = ("sync", "async")
OLD, NEW = key_after(0), key_after(1)
# Where processes share a limit of which nothing is known yet, the first requests leave one by one.
LEAVE_TOGETHER = {"shared_state_url": "none"}


@pytest.fixture
def contract() -> str:
    """The one that has keys to rotate."""
    return "workspace-key"


class Keys:
    """Hands out one key after the other, the last for good, and counts how often it is asked."""

    def __init__(self, *keys: str) -> None:
        self._keys = iter((*keys, *itertools.repeat(keys[-1], 1000)))
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        return next(self._keys)

    async def aread(self) -> str:
        await asyncio.sleep(0.05)
        return self.read()


def rotated(emulator: Emulator, **changes: Any) -> ClientConfig:
    """A configuration whose key has been rotated since."""
    config = config_for(emulator, **changes)
    with Client(config) as client:
        assert client.rotate_api_key() == NEW
    return config


def called(kind: str, config: ClientConfig, keys: Keys, *methods: str, **arguments: Any) -> list[Any]:
    """What calls of one client return, one after the other."""
    if kind == "sync":
        with Client(config, keys.read) as client:
            return [_arguments(getattr(client, method), **arguments) for method in methods]

    async def call() -> list[Any]:
        async with AsyncClient(config, keys.aread) as client:
            return [await _arguments(getattr(client, method), **arguments) for method in methods]

    return asyncio.run(call())


def _arguments(method: Callable[..., Any], **arguments: Any) -> Any:
    return method(GRID_ID, **arguments) if method.__name__ in ("run_grid", "get_grid") else method()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotated_key_costs_one_more_request_and_is_used_from_then_on(kind: str, emulator: Emulator) -> None:
    config, keys = rotated(emulator), Keys(NEW)
    assert len(called(kind, config, keys, "get_workspace", "get_grid", "get_workspace")) == 3
    assert keys.reads == 1
    assert [request["status"] for request in emulator.control.requests()] == [200, 401, 200, 200, 200]


@pytest.mark.parametrize("kind", KINDS)
def test_a_paid_request_that_was_refused_for_its_key_is_sent_once_more(kind: str, emulator: Emulator) -> None:
    config, inputs = rotated(emulator), jane(emulator)
    (run,) = called(kind, config, Keys(NEW), "run_grid", inputs=inputs, recipe=RECIPE)
    assert run.run_id
    assert [post["status"] for post in posts(emulator)][1:] == [401, 200]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("keys", "statuses"),
    [
        pytest.param([OLD], [401], id="the same key"),
        pytest.param([key_after(7), NEW], [401, 401], id="another that is refused as well"),
    ],
)
def test_else_the_refusal_stands(kind: str, keys: list[str], statuses: list[int], emulator: Emulator) -> None:
    config = rotated(emulator)
    with pytest.raises(AuthenticationError):
        called(kind, config, Keys(*keys), "run_grid", inputs=jane(emulator), recipe=RECIPE)
    assert [post["status"] for post in posts(emulator)][1:] == statuses


class Unreadable(Keys):
    """Cannot be read the first time, as where a secrets backend is away."""

    def read(self) -> str:
        self.reads += 1
        if self.reads == 1:
            raise OSError("the secrets backend is away")
        return next(self._keys)


@pytest.mark.parametrize("kind", KINDS)
def test_it_stands_where_the_key_cannot_be_read_for_nothing_was_processed(
    kind: str, emulator: Emulator
) -> None:
    """An error of the backend would not say that: a paid request would be ambiguous."""
    config, keys = rotated(emulator), Unreadable(NEW)
    with pytest.raises(AuthenticationError):
        called(kind, config, keys, "run_grid", inputs=jane(emulator), recipe=RECIPE)
    assert keys.reads == 1
    assert called(kind, config, keys, "run_grid", inputs=jane(emulator), recipe=RECIPE)
    assert [post["status"] for post in posts(emulator)][1:] == [401, 401, 200]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_connection_goes_before_it(kind: str, emulator: Emulator) -> None:
    def moved() -> str:
        raise ConfigurationError("it leads to another workspace")

    keys = Keys(NEW)
    keys.read = moved  # type: ignore[method-assign]
    with pytest.raises(ConfigurationError, match="another workspace"):
        called(kind, rotated(emulator), keys, "get_workspace")


@pytest.mark.parametrize("kind", KINDS)
def test_without_anything_to_read_it_stands_too(kind: str, emulator: Emulator) -> None:
    config = rotated(emulator)
    client = {"sync": Client, "async": AsyncClient}[kind]
    assert client(config).config is config
    with Client(config) as sync, pytest.raises(AuthenticationError):
        sync.get_workspace()


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_another_has_rotated_is_not_rotated_with_the_new_one(
    kind: str, emulator: Emulator
) -> None:
    """It was just stored by whoever rotated it, who would be left with a dead one."""
    config, keys = rotated(emulator), Keys(NEW)
    with pytest.raises(AuthenticationError):
        called(kind, config, keys, "rotate_api_key")
    assert keys.reads == 0
    assert called(kind, config, keys, "get_workspace")


def test_nor_where_that_was_read_while_the_rotation_waited_for_a_slot(emulator: Emulator) -> None:
    config = replace(rotated(emulator), requests_per_minute=60)
    emulator.control.add_fault("latency", on="get_workspace", seconds=0.3)

    async def stored() -> str:
        return NEW

    async def scenario() -> None:
        async with AsyncClient(config, stored) as client:
            poll = asyncio.ensure_future(client.get_workspace())
            await asyncio.sleep(0.1)
            while not await client.book_slot():
                assert client.take_slot()
            rotation = asyncio.ensure_future(client.rotate_api_key())
            assert await poll
            with pytest.raises(AuthenticationError):
                await rotation
            assert await client.get_workspace()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_neither_key_stands_in_an_error(kind: str, emulator: Emulator) -> None:
    config = rotated(emulator)
    emulator.control.add_fault("status", on="get_workspace", status=409, message=f"{OLD} and {NEW}")
    with pytest.raises(BitScaleError) as caught:
        called(kind, config, Keys(NEW), "get_workspace")
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


def test_requests_that_are_refused_together_have_the_key_read_once(emulator: Emulator) -> None:
    config, keys = rotated(emulator), Keys(NEW)

    async def scenario() -> None:
        async with AsyncClient(config, keys.aread) as client:
            poll = client.workspace_poller()
            await asyncio.gather(*(poll() for _ in range(30)))

    asyncio.run(scenario())
    assert keys.reads == 1


def test_nor_is_it_read_again_for_each_where_it_cannot_be_read(emulator: Emulator) -> None:
    config, keys = rotated(emulator, **LEAVE_TOGETHER), Unreadable(NEW)
    emulator.control.add_fault("latency", on="get_workspace", seconds=1.0, times=30)

    async def scenario() -> list[Any]:
        async with AsyncClient(config, keys.aread) as client:
            polls = (client.workspace_poller()() for _ in range(30))
            return await asyncio.gather(*polls, return_exceptions=True)

    assert {type(error) for error in asyncio.run(scenario())} == {AuthenticationError}
    assert keys.reads == 1


def test_those_that_left_before_the_same_key_was_read_do_not_read_it_again(emulator: Emulator) -> None:
    config, keys = rotated(emulator, **LEAVE_TOGETHER), Keys(OLD)
    emulator.control.add_fault("latency", on="get_workspace", seconds=1.0, times=30)

    async def scenario() -> list[Any]:
        async with AsyncClient(config, keys.aread) as client:
            polls = (client.workspace_poller()() for _ in range(30))
            together = await asyncio.gather(*polls, return_exceptions=True)
            assert keys.reads == 1
            later = await asyncio.gather(client.workspace_poller()(), return_exceptions=True)
            assert keys.reads == 2
            return [*together, *later]

    assert {type(error) for error in asyncio.run(scenario())} == {AuthenticationError}


def test_a_slot_that_was_taken_for_the_old_key_is_given_back(emulator: Emulator) -> None:
    config = rotated(emulator)

    async def scenario() -> None:
        async with AsyncClient(config, Keys(NEW).aread) as client:
            old = client._credentials.access.pacer
            while await client.book_slot():
                await asyncio.sleep(0.01)
            assert client.take_slot()
            await client.get_workspace()
            await client.send_now(lambda contract: contract.get_workspace())
            new = client._credentials.access.pacer
            assert old is not new
            assert [pacer.limit.traffic.in_flight for pacer in (old, new)] == [0, 0]

    asyncio.run(scenario())

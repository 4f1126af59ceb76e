"""Both clients behind one call, so that one suite holds for the two of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from airflow_provider_bitscale.api import AsyncClient, Client, ClientConfig, RunRecipe
from airflow_provider_bitscale.api.config import WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME, GRID_ID


class Caller(Protocol):
    """Calls a client's method by its name and waits for the answer."""

    def __call__(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """What the method returns or raises."""


Opener = Callable[[ClientConfig], Caller]


@contextmanager
def sync_client(config: ClientConfig) -> Iterator[Caller]:
    """The sync client."""
    with Client(config) as client:
        yield lambda method, *args, **kwargs: getattr(client, method)(*args, **kwargs)


@contextmanager
def async_client(config: ClientConfig) -> Iterator[Caller]:
    """The async client, in an event loop of its own that turns only while a call waits."""
    loop = asyncio.new_event_loop()
    client = AsyncClient(config)
    loop.run_until_complete(client.__aenter__())
    try:
        yield lambda method, *args, **kwargs: loop.run_until_complete(
            getattr(client, method)(*args, **kwargs)
        )
    finally:
        loop.run_until_complete(client.__aexit__())
        loop.close()


@contextmanager
def opener(kind: str) -> Iterator[Opener]:
    """Opens clients of one kind and closes them all in the end."""
    open_one = {"sync": sync_client, "async": async_client}[kind]
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(open_one(config))


# What keeps a test that is not about the pace from being held to five requests a second.
UNPACED = {"requests_per_minute": 600_000.0}


def config_for(emulator: Emulator, **changes: Any) -> ClientConfig:
    """A configuration for an emulator, by the contract that it speaks."""
    settings: dict[str, Any] = {
        "api_key": emulator.api_key,
        "base_url": changes.get("base_url") or emulator.base_url,
        "timeout": 5.0,
        "api_contract": emulator.contract,
        **(UNPACED if emulator.contract == WORKSPACE_KEY else {"workspace_id": emulator.workspace_id}),
    }
    return ClientConfig(**{**settings, **changes})


# What lists the one input of `jane`, for a test without a server to ask.
RECIPE = RunRecipe(GRID_ID, None, ("full_name",), (), {})


def jane(emulator: Emulator) -> dict[str, Any]:
    """The inputs of a run as they go over the wire: by column id, or by label."""
    return {"full_name" if emulator.contract == WORKSPACE_KEY else FULL_NAME: "Jane Doe"}


def posts(emulator: Emulator) -> list[dict[str, Any]]:
    """The POSTs on the emulator's wire."""
    return [request for request in emulator.control.requests() if request["method"] == "POST"]


def polls(emulator: Emulator) -> list[dict[str, Any]]:
    """The polls of runs on the emulator's wire."""
    return [
        request
        for request in emulator.control.requests()
        if re.search("/(runs|run/status)/", request["path"])
    ]


def posted_bodies(emulator: Emulator) -> list[dict[str, Any]]:
    """The bodies of all runs asked for, in order."""
    return [json.loads(request["body"]) for request in posts(emulator)]

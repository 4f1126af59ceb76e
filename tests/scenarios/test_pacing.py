"""One limit for all that use a key in a process: learned, kept, shared, and fair."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bitscale.api import (
    AsyncClient,
    Client,
    ClientConfig,
    RateLimitedError,
    TransportError,
)
from airflow_provider_bitscale.api.config import V1_1_0
from airflow_provider_bitscale.api.limit.pacer import Pacer, pacer_for
from airflow_provider_bitscale.api.limit.shared_slots import Line
from airflow_provider_bitscale.api.shared_client import shared_client
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import GRID_ID
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.runs.outcome import COMPLETED
from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger
from tests.support.batches import Batch, people, statuses
from tests.support.clients import Opener, config_for, jane, polls
from tests.support.hooks import connect


def refused_after_the_first_window(emulator: Emulator, window: float = 1.0) -> list[dict[str, Any]]:
    requests = emulator.control.requests()
    learned = math.floor(requests[0]["at"] / window + 1) * window
    return [request for request in requests if request["status"] == 429 and request["at"] >= learned]


def limited(contract: str, limit: int, **settings: Any) -> Emulator:
    """An emulator that allows so many requests a second and says so, as either contract may."""
    return Emulator(contract=contract, rate_limit=(limit, 1.0), rate_limit_hints="headers", **settings)


def busiest(emulator: Emulator) -> list[int]:
    """Requests of each whole window, that is each second but the first and the last."""
    seconds: dict[int, int] = defaultdict(int)
    for request in emulator.control.requests():
        seconds[math.floor(request["at"])] += 1
    return [seconds[second] for second in sorted(seconds)[1:-1]]


# Under one contract only: told of the limit by the same headers, both are paced alike. How much of the limit
# is used depends on how busy the machine is: the benchmark ``pacing`` asks for more.
@pytest.mark.parametrize(
    ("waits", "seconds", "used"), [(150, 3.0, 0.5), pytest.param(1000, 20.0, 0.9, marks=pytest.mark.slow)]
)
def test_many_deferred_runs_share_sixty_requests_a_second(
    waits: int, seconds: float, used: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 60

    async def outcome(run_id: str) -> str:
        trigger = RunCompletedTrigger(
            bitscale_conn_id="bitscale_default",
            grid_id=GRID_ID,
            run_id=run_id,
            poll_interval=1.0,
            deadline=time.time() + 150,
        )
        [event] = [event async for event in trigger.run()]
        return str(event.payload["outcome"])

    async def scenario(config: ClientConfig) -> list[str]:
        async with shared_client(config) as client:
            recipe = await client.needed_recipe(GRID_ID)
            row = jane(emulator)
            runs = await asyncio.gather(*(client.run_grid(GRID_ID, row, recipe=recipe) for _ in range(waits)))
            return await asyncio.gather(*(outcome(str(run.run_id)) for run in runs))

    with limited(V1_1_0, limit, run_seconds=(seconds, seconds)) as emulator:
        connect(monkeypatch, emulator, requests_per_minute=None)
        outcomes = asyncio.run(scenario(BitScaleHook().config))
        assert outcomes == [COMPLETED] * waits
        assert refused_after_the_first_window(emulator) == []
        assert sum(busiest(emulator)) >= used * limit * len(busiest(emulator))
        polled: dict[str, list[float]] = defaultdict(list)
        for poll in polls(emulator):
            polled[poll["path"]].append(poll["at"])
        assert len(polled) == waits
        longest = max(
            later - earlier for times in polled.values() for earlier, later in itertools.pairwise(times)
        )
        assert longest < 1.0 + 2 * waits / limit, "everybody had a turn"


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_batch_uses_the_limit_and_keeps_to_it(
    contract: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with limited(contract, limit := 40, run_seconds=(0.1, 0.5)) as emulator:
        connect(monkeypatch, emulator)
        manifest = Batch(rows=people(120), mode=mode).attempt()
        assert statuses(manifest) == {"succeeded": 120}
        assert refused_after_the_first_window(emulator) == []
        assert sum(busiest(emulator)) >= 0.5 * limit * len(busiest(emulator))


def test_requests_leave_in_the_order_in_which_they_were_asked_for() -> None:
    async def scenario() -> list[int]:
        pacer, line, order = Pacer(), Line(), list[int]()
        pacer.limit.requests_per_minute = 6000

        async def one(number: int) -> None:
            await pacer.wait_async(line)
            pacer.answered(200, {})
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(560)))
        return order

    started = time.monotonic()
    assert asyncio.run(scenario()) == list(range(560))
    assert time.monotonic() - started > 0.5, "the last ones had to wait"


STORMS: dict[str, tuple[dict[str, Any], float]] = {
    "seconds": ({"retry_after": 0.6}, 0.6),
    "a date": ({"retry_after": "http-date"}, 2.0),
    "no word": ({}, 1.0),
}
# Requests that were under way when the answer came may still arrive.
UNDER_WAY = 0.1


def nothing_came_too_early(emulator: Emulator, seconds: float) -> None:
    requests = emulator.control.requests()
    refused = [request["at"] for request in requests if request["status"] == 429]
    assert refused
    early = [
        request["at"] - at
        for at in refused
        for request in requests
        if UNDER_WAY < request["at"] - at < seconds - 0.01
    ]
    assert early == []


@pytest.mark.parametrize(("storm", "seconds"), STORMS.values(), ids=STORMS.keys())
def test_after_a_429_nobody_asks_before_the_time(
    contract: str, storm: dict[str, Any], seconds: float
) -> None:
    async def scenario(config: ClientConfig) -> list[str]:
        async with shared_client(config) as client:
            found = await asyncio.gather(*(client.get_workspace() for _ in range(50)))
            return [workspace.id for workspace in found]

    with Emulator(contract=contract) as emulator:
        emulator.control.add_fault("storm", **storm, times=1, after=5)
        assert asyncio.run(scenario(config_for(emulator))) == ["ws_abc123"] * 50
        nothing_came_too_early(emulator, seconds)


def test_a_429_storm_is_sat_out(open_client: Opener, contract: str) -> None:
    times, seconds = 2, 0.3
    with Emulator(contract=contract) as emulator:
        emulator.control.add_fault("storm", retry_after=seconds, times=times)
        assert open_client(config_for(emulator))("get_workspace").id == "ws_abc123"
        nothing_came_too_early(emulator, seconds)
        assert [request["status"] for request in emulator.control.requests()] == [429] * times + [200]


def test_threads_and_an_event_loop_share_one_limit(contract: str) -> None:
    limit, each = 40, 20
    seen: list[str] = []

    def thread(config: ClientConfig) -> None:
        with Client(config) as client:
            seen.extend(client.get_workspace().id for _ in range(each))

    async def loop(config: ClientConfig) -> None:
        async with AsyncClient(config) as client:
            found = await asyncio.gather(*(client.get_workspace() for _ in range(3 * each)))
            seen.extend(workspace.id for workspace in found)

    with limited(contract, limit) as emulator:
        config = config_for(emulator, timeout=30.0, requests_per_minute=None)
        threads = [threading.Thread(target=thread, args=(config,)) for _ in range(3)]
        for one in threads:
            one.start()
        asyncio.run(loop(config))
        for one in threads:
            one.join(30)
        assert seen == ["ws_abc123"] * 6 * each
        assert refused_after_the_first_window(emulator) == []
        assert max(busiest(emulator)) <= limit


def test_a_limit_belongs_to_an_address_and_a_workspace_or_a_key() -> None:
    url = "https://pacing.example"
    one = ClientConfig("key-1", base_url=url)
    assert pacer_for(one, None) is pacer_for(ClientConfig("key-1", base_url=url + "/", timeout=1), None)
    assert pacer_for(one, None) is not pacer_for(ClientConfig("key-2", base_url=url), None)
    assert pacer_for(one, None) is not pacer_for(ClientConfig("key-1", base_url=url + "/v2"), None)
    first = ClientConfig("key-1", base_url=url, workspace_id="w-1")
    assert pacer_for(first, None) is pacer_for(replace(first, api_key="key-2"), None), "it was rotated"
    assert pacer_for(first, None) is not pacer_for(replace(first, workspace_id="w-2"), None)
    limited = ClientConfig("key-1", base_url=url, requests_per_minute=30)
    assert pacer_for(limited, None).limit.requests_per_minute == 30
    again = pacer_for(ClientConfig("key-1", base_url=url), None)
    assert again.limit.requests_per_minute is None, "removed again"


def test_a_network_that_is_down_for_a_window_does_not_block_for_ever(contract: str) -> None:
    with limited(contract, 3) as emulator, Client(config_for(emulator)) as client:
        assert client.get_workspace().id == "ws_abc123"
        emulator.control.add_fault("lost_answer", times=8)
        until, found = time.monotonic() + 20, None
        while found is None and time.monotonic() < until:
            with suppress(TransportError, RateLimitedError):
                found = client.send(client.contract.get_workspace(), patient=False)
        assert found is not None

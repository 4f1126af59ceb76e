"""Who is measured: ways to wait for many runs in one event loop.

Each is given the same runs on the same server and the same interval between polls. The triggers are run as a
triggerer does, and as published: nothing of theirs is replaced, and each must report that its run succeeded.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.triggers.base import BaseTrigger

from airflow_provider_bitscale.emulator.seed import API_KEY, GRID_ID, WORKSPACE_ID

CONN_ID = "benchmark"
_FAR_AWAY = 3600.0


@dataclass(frozen=True)
class Load:
    """What a waiter is to wait for.

    :param on_finish: told the id of each run, as soon as the waiter knows that it has ended.
    """

    origin: str
    run_ids: Sequence[str]
    interval: float
    on_finish: Callable[[str], object]


Waiter = Callable[[Load], Awaitable[None]]


async def ours(load: Load) -> None:
    """This provider's ``RunCompletedTrigger``."""
    from airflow_provider_bitscale.triggers.run_completed import RunCompletedTrigger

    _set_connection(
        conn_type="bitscale",
        host=f"{load.origin}/api/v1",
        password=API_KEY,
        extra={"workspace_id": WORKSPACE_ID, "verify": os.environ.get("SSL_CERT_FILE")},
    )
    deadline = time.time() + _FAR_AWAY
    triggers = (
        RunCompletedTrigger(
            bitscale_conn_id=CONN_ID,
            grid_id=GRID_ID,
            run_id=run_id,
            poll_interval=load.interval,
            deadline=deadline,
        )
        for run_id in load.run_ids
    )
    await _run(load, triggers, lambda event: event["outcome"] == "completed")


async def bare(load: Load) -> None:
    """What one would write by hand: a loop around one aiohttp session, without errors, limits or deadlines.

    It sends the headers that ours sends, sleeps as irregularly, and has as many connections.
    """
    import aiohttp

    from airflow_provider_bitscale import __version__
    from airflow_provider_bitscale.api.async_client import MAX_CONNECTIONS

    headers = {
        "api_key": API_KEY,
        "Accept": "application/json",
        "User-Agent": f"airflow-provider-bitscale/{__version__}",
        "workspace-id": WORKSPACE_ID,
    }
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def wait(run_id: str) -> None:
            url = f"{load.origin}/api/v1/grids/{GRID_ID}/runs/{run_id}"
            await asyncio.sleep(load.interval * random.uniform(0.5, 1.0))
            while True:
                async with session.get(url) as response:
                    run = json.loads(await response.read())
                if run["status"] == "completed":
                    load.on_finish(run_id)
                    return
                await asyncio.sleep(load.interval * random.uniform(0.9, 1.0))

        await asyncio.gather(*map(wait, load.run_ids))


async def databricks(load: Load) -> None:
    """``DatabricksExecutionTrigger`` of apache-airflow-providers-databricks."""
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    scheme, _, authority = load.origin.partition("://")
    host, _, port = authority.partition(":")
    _set_connection(conn_type="databricks", schema=scheme, host=host, port=int(port), password=API_KEY)
    triggers = (
        DatabricksExecutionTrigger(int(run_id), CONN_ID, polling_period_seconds=int(load.interval))
        for run_id in load.run_ids
    )
    await _run(load, triggers, lambda event: "SUCCESS" in event["run_state"])


async def dbt_cloud(load: Load) -> None:
    """``DbtCloudRunJobTrigger`` of apache-airflow-providers-dbt-cloud; it knows https only."""
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    _set_connection(conn_type="dbt_cloud", host=load.origin.partition("://")[2], password=API_KEY)
    end_time = time.time() + _FAR_AWAY
    triggers = (
        DbtCloudRunJobTrigger(CONN_ID, int(run_id), end_time, load.interval, account_id=1)
        for run_id in load.run_ids
    )
    await _run(load, triggers, lambda event: event["status"] == "success")


WAITERS: dict[str, Waiter] = {"ours": ours, "bare": bare, "databricks": databricks, "dbt_cloud": dbt_cloud}


def _set_connection(**fields: Any) -> None:
    os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(fields)


async def _run(load: Load, triggers: Iterable[BaseTrigger], succeeded: Callable[[Any], bool]) -> None:
    await asyncio.gather(
        *(
            _first_event(load, run_id, trigger.run(), succeeded)
            for run_id, trigger in zip(load.run_ids, triggers, strict=True)
        )
    )


async def _first_event(
    load: Load, run_id: str, events: AsyncIterator[Any], succeeded: Callable[[Any], bool]
) -> None:
    async for event in events:
        if not succeeded(event.payload):
            raise RuntimeError(f"run {run_id} should have succeeded: {event.payload}")
        load.on_finish(run_id)

"""The backend in-process, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from airflow_provider_bitscale.emulator.backend import Backend
from airflow_provider_bitscale.emulator.responses import Response
from airflow_provider_bitscale.emulator.seed import API_KEY, WORKSPACE_ID
from airflow_provider_bitscale.emulator.settings import Settings
from tests.emulator.conftest import JANE

HEADERS = [
    (b"api_key", API_KEY.encode()),
    (b"workspace-id", WORKSPACE_ID.encode()),
    (b"content-type", b"application/json"),
]
POLL_URLS = "http://127.0.0.1/api/v1"


def backend(**settings: Any) -> Backend:
    return Backend(Settings(**settings), POLL_URLS)


async def submit(emulated: Backend, **body: Any) -> Response | None:
    sent = json.dumps({"mode": "async", "inputs": JANE, **body}).encode()
    return await emulated.respond("POST", "/api/v1/grids/grid_001/run", HEADERS, sent)


async def submitted(emulated: Backend) -> dict[str, Any]:
    response = await submit(emulated)
    assert response is not None
    document: dict[str, Any] = json.loads(response.body)
    return document


async def poll(emulated: Backend, run_id: str) -> Any:
    response = await emulated.respond("GET", f"/api/v1/grids/grid_001/runs/{run_id}", HEADERS)
    assert response is not None
    return json.loads(response.body)


def test_a_run_needs_no_socket() -> None:
    async def use() -> None:
        emulated = backend(run_seconds=(0, 0))
        receipt = await submitted(emulated)
        assert receipt["poll_url"] == f"{POLL_URLS}/grids/grid_001/runs/{receipt['run_id']}"
        assert (await poll(emulated, receipt["run_id"]))["status"] == "completed"
        assert [(each.method, each.status) for each in emulated.request_log] == [("POST", 200), ("GET", 200)]
        assert emulated.state()["runs_paid"] == 1

    asyncio.run(use())


def test_a_lost_answer_is_none_and_its_work_is_done() -> None:
    async def use() -> None:
        emulated = backend()
        emulated.add_fault("lost_answer", {"times": 1})
        assert await submit(emulated) is None
        assert emulated.request_log[0].status is None
        assert emulated.state()["runs_paid"] == 1

    asyncio.run(use())


def test_a_finished_run_answers_who_waits_for_it_and_a_reset_cuts_it_off() -> None:
    async def use() -> None:
        emulated = backend(run_seconds=(60, 60))
        waiting = asyncio.create_task(submit(emulated, mode="sync"))
        await asyncio.sleep(0)
        emulated.finish_run(next(iter(emulated.world.runs)), "completed")
        response = await waiting
        assert response is not None
        assert json.loads(response.body)["status"] == "completed"
        waiting = asyncio.create_task(submit(emulated, mode="sync"))
        await asyncio.sleep(0)
        await emulated.reset()
        assert await waiting is None
        assert emulated.state()["runs_paid"] == 0

    asyncio.run(use())


def test_who_leaves_early_has_started_a_run() -> None:
    async def left(work: Coroutine[Any, Any, bool]) -> bool:
        work.close()
        return False

    async def use() -> None:
        emulated = backend()
        emulated.add_fault("latency", {"seconds": 60})
        body = json.dumps({"mode": "async", "inputs": JANE}).encode()
        path = "/api/v1/grids/grid_001/run"
        assert await emulated.respond("POST", path, HEADERS, body, left) is None
        assert emulated.state()["runs_paid"] == 1

    asyncio.run(use())


def test_the_rate_limit_is_told_and_counted() -> None:
    async def use() -> None:
        emulated = Backend(Settings(rate_limit=(1, 10)), POLL_URLS, clock=lambda: 1000.0)
        first, second = [await emulated.respond("GET", "/api/v1/user/me", HEADERS) for _ in range(2)]
        assert first is not None
        assert second is not None
        assert (first.status, second.status) == (200, 429)
        assert [dict(each.headers)["X-RateLimit-Remaining"] for each in (first, second)] == ["0", "0"]
        assert emulated.state()["rate_limited"] == 1

    asyncio.run(use())

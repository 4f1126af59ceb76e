"""What the answer to a poll makes of the row."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider_bitscale.api.errors import (
    BitScaleError,
    NotFoundError,
    RateLimitedError,
    TransportError,
)
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.batch.plan.batch_row import State
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.row_result import FAILED, SUCCEEDED, UNKNOWN
from tests.batch.rig import Rig, a_run

LATE = {"timeout": 0.0}


@pytest.mark.parametrize(
    ("seen", "options", "state", "status"),
    [
        pytest.param(a_run("running"), {}, State.RUNNING, None, id="it goes on"),
        pytest.param(a_run(), {}, State.DONE, SUCCEEDED, id="it has completed"),
        pytest.param(a_run("failed", error="no"), {}, State.DONE, FAILED, id="it has failed"),
        pytest.param(TransportError("cut"), {}, State.RUNNING, None, id="nothing is found out"),
        pytest.param(RateLimitedError("slow", status=429), {}, State.RUNNING, None, id="too many requests"),
        pytest.param(NotFoundError("no", status=404), {}, State.RUNNING, None, id="not found, at first"),
        pytest.param(a_run("running"), LATE, State.DONE, UNKNOWN, id="it takes too long"),
        pytest.param(TransportError("cut"), LATE, State.DONE, UNKNOWN, id="it cannot be asked for too long"),
        pytest.param(
            a_run("running"), {"deadline": time.time() - 1}, State.LEFT, None, id="the batch is over"
        ),
        pytest.param(a_run(run_id="another"), LATE, State.DONE, UNKNOWN, id="another run in its place"),
    ],
)
def test_what_an_answer_makes_of_a_row(
    seen: Run | BitScaleError, options: dict[str, Any], state: State, status: str | None
) -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), seen], **options)
        await rig.open()
        await rig.submit()
        row = await rig.poll()
        await rig.settle()
        assert (row.state, None if row.result is None else row.result.status) == (state, status)
        assert rig.entries()[0] == "run_0", "a retry polls it again, whatever came of it"
        assert row.result is None or row.result.run_id == "run_0"
        assert rig.budget.in_flight == rig.plan.in_flight == (state is State.RUNNING)

    asyncio.run(run())


def test_a_run_whose_end_was_delivered_is_polled_where_deliveries_are_not_trusted() -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), a_run()], expects_deliveries=True, trust_webhook=False)
        await rig.open()
        await rig.submit()
        assert (await rig.deliver(0, a_run())).state is State.RUNNING
        assert rig.plan.polls.next_row(0.0, eager=False) is rig.row()
        assert (await rig.poll()).state is State.DONE

    asyncio.run(run())


def test_another_run_of_the_row_that_was_delivered_meanwhile_counts() -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), lambda: _told(rig)], expects_deliveries=True)
        await rig.open()
        await rig.submit()
        row = await rig.poll()
        assert (row.state, row.run_id) == (State.RUNNING, "run_9")

    def _told(rig: Rig) -> Run:
        rig.batch.apply(rig.row(), Event.DELIVERED, run_id="run_9")
        return a_run("failed")

    asyncio.run(run())


def test_an_answer_that_comes_after_its_row_was_disowned_says_nothing() -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), a_run("queued", "run_1"), lambda: _told_twice(rig)])
        await rig.open()
        for number in (0, 1):
            await rig.submit(number)
        row = await rig.poll(0)
        assert row.result is not None
        assert row.result.status == UNKNOWN
        assert rig.plan.in_flight == 0

    def _told_twice(rig: Rig) -> Run:
        assert not rig.batch.claim(rig.row(1), "run_0")
        return a_run()

    asyncio.run(run())

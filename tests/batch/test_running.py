"""What follows from what happens to a row: what is written down, and when its segment is written."""

from __future__ import annotations

import asyncio
import time

import pytest

from airflow_provider_bitscale.batch.plan.batch_row import State
from airflow_provider_bitscale.batch.plan.lifecycle import Event, IllegalEventError
from airflow_provider_bitscale.batch.row_result import SUCCEEDED, UNKNOWN, RowResult, was_accepted
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SegmentRecord
from tests.batch.rig import Rig, a_run

FOUND = RowResult(SUCCEEDED, "run_0", 3)


def test_a_segment_is_written_with_the_result_of_its_last_row() -> None:
    async def run() -> None:
        rig = Rig(2, [a_run("queued"), a_run("queued", "run_1"), a_run(), a_run(run_id="run_1")])
        await rig.open()
        for number in (0, 1):
            await rig.submit(number)
        await rig.poll(0)
        await rig.settle()
        assert rig.parts.rows == []
        await rig.poll(1)
        await rig.settle()
        assert [row["_status"] for row in rig.parts.rows] == [SUCCEEDED, SUCCEEDED]
        assert (rig.budget.spent, rig.segments.tally.credits) == (6, 6)

    asyncio.run(run())


def test_a_row_that_has_its_result_takes_no_other() -> None:
    async def run() -> None:
        rig = Rig(2, [a_run("queued")])
        await rig.open()
        row = await rig.submit()
        rig.batch.apply(row, Event.ENDED, result=FOUND)
        for event in (Event.ENDED, Event.GIVEN_UP):
            with pytest.raises(IllegalEventError):
                rig.batch.apply(row, event, result=FOUND)
        assert rig.segments.tally.counts == {SUCCEEDED: 1}
        assert rig.budget.in_flight == 0

    asyncio.run(run())


def test_a_run_is_of_one_row() -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), a_run("queued", "run_1")])
        await rig.open()
        one, other = await rig.submit(0), await rig.submit(1)
        assert rig.batch.claim(one, "run_0"), "the same row may be named again"
        assert rig.batch.claim(one, "run_9"), "a row may have more than one run"
        assert not rig.batch.claim(other, "run_0")
        await rig.settle()
        for row in (one, other):
            assert row.state is State.DONE
            assert row.result is not None
            assert (row.result.status, row.result.run_id) == (UNKNOWN, None)
            assert was_accepted(row.result.error), "no retry submits it"
        assert rig.entries() == [ANNOUNCED, ANNOUNCED, None]
        assert (rig.budget.in_flight, rig.plan.stopped) == (0, True)

    asyncio.run(run())


def test_a_row_that_has_its_result_loses_it_with_its_run() -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), a_run("queued", "run_1")])
        await rig.open()
        one, other = await rig.submit(0), await rig.submit(1)
        rig.batch.apply(one, Event.ENDED, result=FOUND)
        rig.batch.claim(other, "run_0")
        assert +rig.segments.tally.counts == {UNKNOWN: 2}
        assert rig.segments.tally.credits == 0

    asyncio.run(run())


def test_a_row_that_is_written_keeps_its_result(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        rig = Rig(1, [a_run("queued"), a_run()])
        await rig.open()
        row = await rig.submit()
        await rig.poll()
        assert rig.batch.claim(row, "run_0")
        assert rig.batch.claim(row, "run_1")
        row.number = 1
        rig.batch.claim(row, "run_0")
        await rig.settle()
        assert [row["_status"] for row in rig.parts.rows] == [SUCCEEDED]

    asyncio.run(run())
    assert "Row 1 is written already, with a result that may be of another row" in caplog.text


def test_what_an_earlier_try_left_is_in_flight_or_waits() -> None:
    async def run() -> None:
        rig = Rig(3, records={0: SegmentRecord(["run_0", ANNOUNCED, None])}, expects_deliveries=True)
        await rig.open()
        assert [rig.row(number).state for number in range(3)] == [State.RUNNING, State.AMBIGUOUS, State.NEW]
        assert (rig.plan.in_flight, rig.plan.awaiting, rig.plan.rows_left) == (1, 1, 1)
        assert rig.plan.polls.next_row(time.monotonic(), eager=False) is rig.row(0), "it has probably ended"

    asyncio.run(run())


@pytest.mark.parametrize("happens", [True, False])
def test_it_waits_until_something_happens_or_time_is_up(happens: bool) -> None:
    async def run() -> float:
        rig = Rig(1)
        if happens:
            asyncio.get_running_loop().call_later(0.05, rig.batch.happened.set)
        began = time.monotonic()
        await rig.batch.wait_for_change(10.0 if happens else 0.1)
        assert not rig.batch.happened.is_set()
        return time.monotonic() - began

    assert 0.04 <= asyncio.run(run()) < 5.0


def test_an_error_in_what_goes_on_beside_ends_the_batch() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        rig = Rig(2)
        await rig.open()
        rig.make_ready(0)
        rig.batch.start(fail())
        await rig.settle()
        assert rig.batch.aborted
        assert isinstance(rig.batch.error, ZeroDivisionError)
        assert rig.entries() == [None, None], "what was announced is taken back"

    asyncio.run(run())

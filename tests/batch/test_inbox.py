"""What a delivery makes of its row, in each of its states."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_bitscale.api.errors import AmbiguousSubmitError, UnreadableAcceptanceError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.batch.plan.batch_row import State
from airflow_provider_bitscale.batch.plan.lifecycle import Event
from airflow_provider_bitscale.batch.row_result import SUCCEEDED, UNKNOWN
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED, SegmentRecord
from tests.batch.rig import Rig, a_run

LOST = AmbiguousSubmitError("the connection was cut")


def test_a_row_that_is_ambiguous_has_its_result() -> None:
    async def run() -> None:
        rig = Rig(1, [LOST], expects_deliveries=True)
        await rig.open()
        assert (await rig.submit()).state is State.AMBIGUOUS
        row = await rig.deliver(0, a_run())
        await rig.settle()
        assert row.result is not None
        assert (row.result.status, row.result.run_id) == (SUCCEEDED, "run_0")
        assert rig.log.lines == ["sent 0", "accepted 0 run_0"]
        assert rig.segments.tally.unknown_costs == 0

    asyncio.run(run())


def test_a_row_whose_acceptance_could_not_be_read_has_its_result() -> None:
    async def run() -> None:
        unreadable = UnreadableAcceptanceError("no id", status=200)
        rig = Rig(1, [unreadable], expects_deliveries=True, resubmit_ambiguous=True)
        await rig.open()
        assert (await rig.submit()).state is State.UNREADABLE
        row = await rig.deliver(0, a_run())
        assert row.result is not None
        assert row.result.status == SUCCEEDED

    asyncio.run(run())


@pytest.mark.parametrize("ready", [False, True])
def test_a_row_that_was_to_be_submitted_again_is_not(ready: bool) -> None:
    async def run() -> None:
        rig = Rig(
            2,
            records={0: SegmentRecord([ANNOUNCED, None])},
            expects_deliveries=True,
            resubmit_ambiguous=True,
            trust_webhook=False,
        )
        await rig.open()
        rig.prefetch.submit_ambiguous()
        if ready:
            rig.make_ready(0)
        row = await rig.deliver(0, a_run())
        await rig.settle()
        assert (row.state, row.unanswered, rig.entries()[0]) == (State.RUNNING, 0, "run_0")
        assert rig.plan.ready == 0
        assert rig.plan.rows_left == 1

    asyncio.run(run())


def test_a_row_that_was_never_submitted_takes_no_delivery() -> None:
    async def run() -> None:
        rig = Rig(1, expects_deliveries=True)
        await rig.open()
        assert (await rig.deliver(0, a_run())).state is State.NEW

    asyncio.run(run())


@pytest.mark.parametrize(
    ("run_that_came", "unanswered", "run_id"),
    [
        pytest.param(a_run(run_id="another"), 0, None, id="submitted once: it is ignored"),
        pytest.param(a_run(run_id="another"), 1, "another", id="paid for twice: the first to complete"),
        pytest.param(a_run("failed", "another"), 1, None, id="paid for twice: the other may complete yet"),
        pytest.param(a_run(), 0, "run_0", id="its own run"),
    ],
)
def test_which_run_of_a_row_counts(run_that_came: Run, unanswered: int, run_id: str | None) -> None:
    async def run() -> None:
        rig = Rig(1, [a_run("queued")], expects_deliveries=True)
        await rig.open()
        row = await rig.submit()
        row.unanswered = unanswered
        await rig.deliver(0, run_that_came)
        assert (row.result.run_id if row.result else None) == run_id

    asyncio.run(run())


def test_a_delivery_that_comes_while_its_run_is_polled_waits_for_the_answer() -> None:
    async def run() -> None:
        rig = Rig(1, [a_run("queued")], expects_deliveries=True)
        await rig.open()
        row = await rig.submit()
        rig.batch.apply(row, Event.POLLED)
        await rig.deliver(0, a_run())
        await rig.inbox.collect()
        assert row.result is None
        rig.batch.apply(row, Event.NOT_ENDED)
        await rig.inbox.collect()
        assert row.result is not None

    asyncio.run(run())


def test_a_run_that_is_delivered_for_two_rows_is_the_result_of_neither() -> None:
    async def run() -> None:
        rig = Rig(3, [a_run("queued"), LOST], expects_deliveries=True)
        await rig.open()
        for number in (0, 1):
            await rig.submit(number)
        await rig.deliver(1, a_run())
        await rig.settle()
        for number in (0, 1):
            row = rig.row(number)
            assert row.result is not None
            assert (row.result.status, row.result.run_id) == (UNKNOWN, None)
        assert rig.entries() == [ANNOUNCED, ANNOUNCED, None]
        assert rig.segments.tally.stopped_by == "unreadable_answers"
        assert rig.budget.in_flight == 0

    asyncio.run(run())


def test_a_delivery_is_repeated_and_counts_once() -> None:
    async def run() -> None:
        rig = Rig(2, [a_run("queued")], expects_deliveries=True)
        await rig.open()
        row = await rig.submit()
        for _ in range(3):
            await rig.deliver(0, a_run())
        assert row.state is State.DONE
        assert rig.segments.tally.counts == {SUCCEEDED: 1}
        assert rig.segments.tally.credits == 3

    asyncio.run(run())

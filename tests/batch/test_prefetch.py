"""How many rows are announced before they are submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from airflow_provider_bitscale.batch.prefetch import FEWEST_AHEAD, MOST_AHEAD, rows_ahead
from airflow_provider_bitscale.batch.store.segment_records import ANNOUNCED
from tests.batch.rig import Rig


@pytest.mark.parametrize(
    ("ahead", "left", "seconds", "then"),
    [
        pytest.param(8, 0, 0.2, 12, id="too few"),
        pytest.param(8, 1, 0.2, 8, id="few"),
        pytest.param(8, 4, 0.2, 8, id="enough"),
        pytest.param(40, 21, 0.2, 36, id="more than enough"),
        pytest.param(FEWEST_AHEAD, 3, 0.2, FEWEST_AHEAD, id="never fewer"),
        pytest.param(MOST_AHEAD, 0, 0.2, MOST_AHEAD, id="never more"),
        pytest.param(MOST_AHEAD, 0, 0.0, MOST_AHEAD, id="a store that takes no time"),
        pytest.param(MOST_AHEAD, 50, 0.8, 100, id="fewer, the slower the writes are"),
        pytest.param(MOST_AHEAD, 0, 2.0, 40, id="fewer even where none is left"),
        pytest.param(MOST_AHEAD, 0, 10.0, 8, id="few where a write takes long"),
        pytest.param(MOST_AHEAD, 0, 60.0, FEWEST_AHEAD, id="the fewest where it takes a minute"),
    ],
)
def test_rows_that_are_announced(ahead: int, left: int, seconds: float, then: int) -> None:
    assert rows_ahead(ahead, left, seconds) == then


@pytest.mark.parametrize("submitted", [1, 5, 12, 50])
def test_it_settles_at_two_to_four_times_what_is_submitted_in_a_turn(submitted: int) -> None:
    ahead, ready, shortages = FEWEST_AHEAD, 0, []
    for turn in range(60):
        group = max(0, ahead - ready)
        ready = max(0, ready - submitted)
        if not ready:
            shortages.append(turn)
        ahead = rows_ahead(ahead, ready, 0.2)
        ready += group
    assert all(turn < 15 for turn in shortages)
    assert 2 * submitted <= ahead <= max(FEWEST_AHEAD, 5 * submitted)


def test_rows_wait_to_be_announced_until_others_are_submitted() -> None:
    async def run() -> None:
        rig = Rig(50)
        recording, feeding = asyncio.create_task(rig.writer.run()), asyncio.create_task(rig.prefetch.feed())
        # Writes take some of it; none is submitted.
        await asyncio.wait([feeding], timeout=1.0)
        for task in (feeding, recording):
            task.cancel()
        await asyncio.gather(feeding, recording, return_exceptions=True)
        rig.segments.close()
        announced = rig.entries().count(ANNOUNCED)
        assert 0 < announced <= 2 * FEWEST_AHEAD
        assert rig.plan.ready == announced

    asyncio.run(run())


def _stop(rig: Rig, feeding: asyncio.Task[None]) -> None:
    rig.batch.stop_submitting()


def _cancel(rig: Rig, feeding: asyncio.Task[None]) -> None:
    feeding.cancel()


@pytest.mark.parametrize("end", [_stop, _cancel])
def test_rows_that_are_just_being_announced_are_taken_back(
    end: Callable[[Rig, asyncio.Task[None]], None],
) -> None:
    async def run() -> None:
        rig = Rig(9)
        await rig.prefetch.take_over()
        feeding = asyncio.create_task(rig.prefetch.feed())
        recording = asyncio.create_task(rig.writer.run())
        while not _announced(rig):
            await asyncio.sleep(0)
        end(rig, feeding)
        await asyncio.wait([feeding], timeout=5)
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await rig.writer.write()
        rig.segments.close()
        assert rig.plan.ready == 0
        assert rig.entries() == [None] * 9

    asyncio.run(run())


def _announced(rig: Rig) -> bool:
    """Whether the store has an intent."""
    stored = rig.store.get("bitscale_batch_b1_00000")
    return stored is not None and ANNOUNCED in stored["entries"]

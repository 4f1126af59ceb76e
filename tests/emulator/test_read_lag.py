"""When polls of an accepted run find it."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.emulator.runs import RunScript
from airflow_provider_bitscale.emulator.seed import GRID_ID
from tests.emulator.test_state import START, accept, world


@pytest.mark.parametrize(
    ("script", "seconds", "found"),
    [
        (RunScript(), [0, 1], [True, True]),
        (RunScript(unseen_seconds=5), [0, 4.9, 5, 6], [False, False, True, True]),
        (RunScript(unseen_polls=2), [0, 1, 2], [False, False, True]),
        (RunScript(unseen_seconds=5, unseen_polls=1), [6, 6], [False, True]),
        (RunScript(unseen_seconds=5, unseen_polls=1), [1, 2, 6], [False, False, True]),
    ],
)
def test_polls_of_a_run_lag_behind_its_acceptance(
    script: RunScript, seconds: list[float], found: list[bool]
) -> None:
    a_world = world()
    run = accept(a_world, script=script)
    seen = [a_world.poll(run.run_id, START + second, GRID_ID) for second in seconds]
    assert [answer is run for answer in seen] == found
    assert a_world.poll(run.run_id, START + 99, "grid_002") is None
    assert run.polls == len(seconds)
    assert run.status(START + 10) == "completed"

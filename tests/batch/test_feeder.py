"""How many rows are announced before they are submitted."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch.feeder import FEWEST_AHEAD, MOST_AHEAD, rows_ahead


@pytest.mark.parametrize(
    ("ahead", "left", "then"),
    [
        pytest.param(8, 0, 12, id="too few"),
        pytest.param(8, 1, 8, id="few"),
        pytest.param(8, 4, 8, id="enough"),
        pytest.param(40, 21, 36, id="more than enough"),
        pytest.param(FEWEST_AHEAD, 3, FEWEST_AHEAD, id="never fewer"),
        pytest.param(MOST_AHEAD, 0, MOST_AHEAD, id="never more"),
    ],
)
def test_rows_that_are_announced(ahead: int, left: int, then: int) -> None:
    assert rows_ahead(ahead, left) == then


@pytest.mark.parametrize("submitted", [1, 5, 12, 50])
def test_it_settles_at_two_to_four_times_what_is_submitted_in_a_turn(submitted: int) -> None:
    ahead, ready, shortages = FEWEST_AHEAD, 0, []
    for turn in range(60):
        group = max(0, ahead - ready)
        ready = max(0, ready - submitted)
        if not ready:
            shortages.append(turn)
        ahead = rows_ahead(ahead, ready)
        ready += group
    assert all(turn < 15 for turn in shortages)
    assert 2 * submitted <= ahead <= max(FEWEST_AHEAD, 5 * submitted)

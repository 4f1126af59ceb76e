"""How long runs took, as processes tell each other: whatever else is there is ignored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from airflow_provider_bitscale.runs.run_lengths import (
    KIND,
    LONGEST_SECONDS,
    MOST_LENGTHS,
    aread_lengths,
    ashare_lengths,
    read_lengths,
    share_lengths,
)


@pytest.fixture
def hints(tmp_path: Path) -> Hints:
    """In a folder of their own."""
    return Hints(SharedState(FileBackend(str(tmp_path))), "limit")


def test_the_latest_lengths_are_known_to_all(hints: Hints) -> None:
    share_lengths(hints, "g1", [3.0, 4.0])
    asyncio.run(ashare_lengths(hints, "g1", [1.234567]))
    assert read_lengths(hints, "g1") == [3.0, 4.0, 1.23]
    assert asyncio.run(aread_lengths(hints, "g1")) == [3.0, 4.0, 1.23]
    assert read_lengths(hints, "g2") == []
    share_lengths(hints, "g1", map(float, range(1, MOST_LENGTHS + 1)))
    assert read_lengths(hints, "g1") == list(map(float, range(1, MOST_LENGTHS + 1)))


@pytest.mark.parametrize(
    "value", [None, 1, "x", {}, ["x"], [None], [True], [0], [-1.0], [[1.0]], [10**400], [1.0, {}]]
)
def test_what_is_no_list_of_lengths_is_none_and_is_replaced(hints: Hints, value: Any) -> None:
    hints.put(KIND, "g1", value, 60)
    assert read_lengths(hints, "g1") == []
    share_lengths(hints, "g1", [3.0])
    assert read_lengths(hints, "g1") == [3.0]


def test_nobody_waits_for_as_long_as_somebody_claims(hints: Hints) -> None:
    hints.put(KIND, "g1", [1e9, 5], 60)
    assert read_lengths(hints, "g1") == [LONGEST_SECONDS, 5]
    share_lengths(hints, "g1", [float("nan"), float("inf"), -1.0, 1e9])
    assert read_lengths(hints, "g1") == [LONGEST_SECONDS, 5, LONGEST_SECONDS]

"""How long the latest runs of a grid took, as processes tell each other: durations, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from airflow_provider_bitscale.api.shared_state.hints import Hints

KIND = "run_times"
KEEP_SECONDS = 86_400.0
# The latest; what runs took some time ago is forgotten.
MOST_LENGTHS = 100
# Whatever is told: nobody waits longer for a first poll than it takes to hear of a run that lasts this long.
LONGEST_SECONDS = 300.0


def lengths_in(value: Any) -> list[float]:
    """Return the lengths in a shared value; none if it is anything else."""
    if not isinstance(value, list) or not all(map(_is_length, value)):
        return []
    return [float(min(length, LONGEST_SECONDS)) for length in value[-MOST_LENGTHS:]]


def read_lengths(hints: Hints, grid_id: str) -> list[float]:
    """Return how long runs of a grid took, the latest last."""
    return lengths_in(hints.get(KIND, grid_id))


async def aread_lengths(hints: Hints, grid_id: str) -> list[float]:
    """Async twin of :func:`read_lengths`."""
    return lengths_in(await hints.aget(KIND, grid_id))


def share_lengths(hints: Hints, grid_id: str, lengths: Iterable[float]) -> None:
    """Tell other processes how long runs took. What two of them tell at once may be lost."""
    hints.put(KIND, grid_id, _joined(read_lengths(hints, grid_id), lengths), KEEP_SECONDS)


async def ashare_lengths(hints: Hints, grid_id: str, lengths: Iterable[float]) -> None:
    """Async twin of :func:`share_lengths`."""
    known = await aread_lengths(hints, grid_id)
    await hints.aput(KIND, grid_id, _joined(known, lengths), KEEP_SECONDS)


def _joined(known: list[float], lengths: Iterable[float]) -> list[float]:
    new = [round(min(length, LONGEST_SECONDS), 2) for length in lengths if _is_length(length)]
    return (known + new)[-MOST_LENGTHS:]


def _is_length(value: Any) -> bool:
    # Read before each first poll: not by isinstance, which takes a bool for a number.
    return type(value) in (float, int) and 0 < value < math.inf

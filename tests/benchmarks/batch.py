"""A whole table in one task: how it uses the rate limit, what it costs the worker, how soon it goes on."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.batch_going_on import batch_going_on
from tests.benchmarks.batch_limit import batch_limit
from tests.benchmarks.batch_size import batch_size
from tests.benchmarks.figures import Figure


def batch(home: Path) -> list[Figure]:
    """Everything about batches but kills; takes about ten minutes."""
    return [
        *batch_limit(home / "limit"),
        *batch_size(home / "size"),
        *batch_going_on(home / "going on"),
    ]

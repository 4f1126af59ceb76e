"""A whole table in one task: how it uses the rate limit, what it costs the worker, and what a kill costs."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.batch_kills import batch_kills
from tests.benchmarks.batch_limit import batch_limit
from tests.benchmarks.batch_size import batch_size
from tests.benchmarks.figures import Figure


def batch(home: Path) -> list[Figure]:
    """Everything about batches; takes about twelve minutes."""
    return [*batch_limit(home / "limit"), *batch_size(home / "size"), *batch_kills(home / "kills")]

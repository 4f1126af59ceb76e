"""Waits that end when nothing new happens, however slow the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 120.0
"""Seconds without anything new after which a wait is given up."""


def wait_until(
    probe: Callable[[], Found | None],
    what: str | Callable[[], str],
    *,
    progress: Callable[[], object] = lambda: None,
    patience: float = PATIENCE,
    every: float = 0.2,
) -> Found:
    """Return the first truthy answer of `probe`, asked every `every` seconds.

    The whole wait has no bound, since a busy machine may need any time: it goes on as long as `progress`
    answers something else than `patience` seconds before. Without `progress` nothing counts as new.

    Raises `TimeoutError` that says `what` was waited for.
    """
    seen, deadline = progress(), time.monotonic() + patience
    while not (found := probe()):
        if time.monotonic() >= deadline:
            before, seen = seen, progress()
            if seen == before:
                said = what if isinstance(what, str) else what()
                raise TimeoutError(f"nothing new for {patience:g} s: {said}")
            deadline = time.monotonic() + patience
        time.sleep(every)
    return found

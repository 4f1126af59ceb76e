"""Runs the event loop of a batch in a thread of its own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

# Python's own threshold, 700, is reached by a handful of requests.
_NEW_OBJECTS = 20_000


def run_in_thread(drive: Callable[[], Coroutine[Any, Any, None]], cancel: Callable[[], None]) -> None:
    """Run a loop beside this thread, which Airflow interrupts at ``execution_timeout``.

    An exception out of nowhere would end the loop with requests under way, and lose the ids of paid runs.

    :param cancel: called in this thread when it is interrupted; the loop is then waited for.
    """
    with _rare_collections(), ThreadPoolExecutor(1, "bitscale-batch") as thread:
        driving = thread.submit(copy_context().run, lambda: asyncio.run(drive()))
        try:
            driving.result()
        except BaseException:
            cancel()
            raise


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles less often: a fifth of a batch's CPU went into looking through Airflow's objects."""
    before = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)

"""Runs the event loop of a batch in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any


def run_in_thread(drive: Callable[[], Coroutine[Any, Any, None]], cancel: Callable[[], None]) -> None:
    """Run a loop beside this thread, which Airflow interrupts at ``execution_timeout``.

    An exception out of nowhere would end the loop with requests under way, and lose the ids of paid runs.

    :param cancel: called in this thread when it is interrupted; the loop is then waited for.
    """
    with ThreadPoolExecutor(1, "bitscale-batch") as thread:
        driving = thread.submit(copy_context().run, lambda: asyncio.run(drive()))
        try:
            driving.result()
        except BaseException:
            cancel()
            raise

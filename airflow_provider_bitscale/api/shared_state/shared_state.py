"""Asks a backend, from threads and event loops, and goes without it while it is away."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS, count
from airflow_provider_bitscale.api.shared_state.backend import Backend, Busy, UnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

# How long one question may take.
PATIENCE_SECONDS = 0.5
# Pauses while somebody else is at it are up to that.
BUSY_SECONDS = 0.002
# After a failure nothing is asked for that long, or so many times what the failure took.
AWAY_SECONDS = 1.0
AWAY_FACTOR = 10.0
WARNING_SECONDS = 60.0


class SharedState:
    """State that processes share. No question raises, and none takes longer than half a second.

    None means that there is no answer: the backend is away, and the caller goes by what it knows itself.

    :param backend: where the state is.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._away_until = float("-inf")
        self._warned_at = float("-inf")
        self._has_told_scope = False
        self._lock = threading.Lock()
        # One thread: whoever waits in line for it finds the backend away at once, if it is.
        self._executor: ThreadPoolExecutor | None = None

    def ask(self, question: Callable[[Backend], T]) -> T | None:
        """Ask the backend, blocking."""
        began = time.monotonic()
        while not self._is_away(began):
            try:
                return self._answered(question(self._backend))
            except Busy:
                if self._is_over(began):
                    return None
                time.sleep(_moment())
            except (UnavailableError, OSError) as error:
                self._failed(began, error)
        return None

    async def ask_async(self, question: Callable[[Backend], T]) -> T | None:
        """Ask the backend without blocking the event loop; see :meth:`ask`."""
        if self._backend.blocks:
            return None if self._is_away(time.monotonic()) else await self._ask_in_thread(question)
        began = time.monotonic()
        while not self._is_away(began):
            try:
                return self._answered(question(self._backend))
            except Busy:
                if self._is_over(began):
                    return None
                await asyncio.sleep(_moment())
            except (UnavailableError, OSError) as error:
                self._failed(began, error)
        return None

    async def _ask_in_thread(self, question: Callable[[Backend], T]) -> T | None:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="bitscale-shared-state")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.ask, question)

    def _answered(self, answer: T) -> T:
        if not self._has_told_scope:
            self._has_told_scope = True
            log.info("The rate limit is shared by %s", self._backend.scope)
        return answer

    def _is_away(self, now: float) -> bool:
        return now < self._away_until

    def _is_over(self, began: float) -> bool:
        if time.monotonic() - began < PATIENCE_SECONDS:
            return False
        self._failed(began, UnavailableError("other processes do not let go of it"))
        return True

    def _failed(self, began: float, error: Exception) -> None:
        count(SHARED_STATE_ERRORS)
        now = time.monotonic()
        self._away_until = now + max(AWAY_SECONDS, AWAY_FACTOR * (now - began))
        with self._lock:
            is_told = now < self._warned_at + WARNING_SECONDS
            self._warned_at = self._warned_at if is_told else now
        if not is_told:
            log.warning(
                "The state that processes share about BitScale's rate limit is away (%s). This process keeps "
                "to the limit by itself until it is back",
                error,
            )


def _moment() -> float:
    return random.uniform(0.1, 1.0) * BUSY_SECONDS  # noqa: S311

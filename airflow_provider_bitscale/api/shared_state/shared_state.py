"""Asks a backend, from threads and event loops, and goes without it while it is away."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar
from weakref import WeakSet

from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS, count
from airflow_provider_bitscale.api.shared_state.backend import Backend, Busy, UnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

# How long one question may take, and how long its answer is waited for: where a host's name is looked up, for
# one, no time limit holds.
PATIENCE_SECONDS = 0.5
ANSWER_SECONDS = 2 * PATIENCE_SECONDS
# Pauses while somebody else is at it are up to that.
BUSY_SECONDS = 0.002
# After a failure nothing is asked for that long, or so many times what the failure took.
AWAY_SECONDS = 1.0
AWAY_FACTOR = 10.0
WARNING_SECONDS = 60.0


class SharedState:
    """State that processes share. No question raises, and none takes longer than a second.

    None means that there is no answer: the backend is away, and the caller goes by what it knows itself.

    :param backend: where the state is.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Begin anew, as a process does that was just forked: threads and locks are those of its parent."""
        self._away_until = float("-inf")
        self._warned_at = float("-inf")
        self._has_told_scope = False
        self._lock = threading.Lock()
        # One thread: whoever waits in line for it finds the backend away at once, if it is.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bitscale-shared-state")

    @property
    def blocks(self) -> bool:
        """Whether a question is a way to another machine."""
        return self._backend.blocks

    def ask(self, question: Callable[[Backend], T]) -> T | None:
        """Ask the backend, blocking."""
        began = time.monotonic()
        if not self.blocks:
            return self._ask_here(question, began)
        if (asked := self._submit(question, began)) is None:
            return None
        # Signals interrupt this, and never a question that is half asked.
        wait((asked,), ANSWER_SECONDS)
        return self._answer_of(asked, began)

    async def ask_async(self, question: Callable[[Backend], T]) -> T | None:
        """Ask the backend without blocking the event loop; see :meth:`ask`."""
        began = time.monotonic()
        if not self.blocks:
            answer, pause = self._attempt(question, began)
            while pause:
                await asyncio.sleep(pause)
                answer, pause = self._attempt(question, began)
            return answer
        if (asked := self._submit(question, began)) is None:
            return None
        awaited = asyncio.wrap_future(asked)
        try:
            await asyncio.wait((awaited,), timeout=ANSWER_SECONDS)
        finally:
            awaited.cancel()
        return self._answer_of(asked, began)

    def tell(self, question: Callable[[Backend], object]) -> None:
        """Ask what nobody waits for the answer to."""
        began = time.monotonic()
        if self.blocks or self._attempt(question, began)[1]:
            self._submit(question, began)

    def _submit(self, question: Callable[[Backend], T], began: float) -> Future[T | None] | None:
        if began < self._away_until:
            return None
        try:
            return self._executor.submit(self._ask_in_turn, question, began)
        except RuntimeError as error:
            # The process ends, or may start no further thread.
            self._failed(began, str(error))
            return None

    def _answer_of(self, asked: Future[T | None], began: float) -> T | None:
        if asked.done() and not asked.cancelled():
            return asked.result()
        asked.cancel()
        self._failed(began, "no answer comes")
        return None

    def _ask_here(self, question: Callable[[Backend], T], began: float) -> T | None:
        answer, pause = self._attempt(question, began)
        while pause:
            time.sleep(pause)
            answer, pause = self._attempt(question, began)
        return answer

    def _ask_in_turn(self, question: Callable[[Backend], T], began: float) -> T | None:
        # The line is too long for a backend that is slow: some go without an answer.
        return None if time.monotonic() > began + PATIENCE_SECONDS else self._ask_here(question, began)

    def _attempt(self, question: Callable[[Backend], T], began: float) -> tuple[T | None, float]:
        """Ask once. Return the answer, and after how many seconds to ask again; 0 for not at all."""
        if time.monotonic() < self._away_until:
            return None, 0.0
        try:
            answer = question(self._backend)
        except Busy:
            if time.monotonic() < began + PATIENCE_SECONDS:
                return None, random.uniform(0.1, 1.0) * BUSY_SECONDS  # noqa: S311
            self._failed(began, "other processes do not let go of it")
            return None, 0.0
        except (UnavailableError, OSError) as error:
            self._failed(began, str(error))
            return None, 0.0
        except Exception as error:  # Whatever others have written there, no task fails for it.
            self._failed(began, type(error).__name__)
            return None, 0.0
        if not self._has_told_scope:
            self._tell_scope()
        return answer, 0.0

    def _tell_scope(self) -> None:
        with self._lock:
            is_told, self._has_told_scope = self._has_told_scope, True
        if not is_told:
            log.info("The rate limit is shared by %s", self._backend.scope)

    def _failed(self, began: float, problem: str) -> None:
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
                problem,
            )


_all: WeakSet[SharedState] = WeakSet()


def _begin_all() -> None:
    for state in _all:
        state._begin()


os.register_at_fork(after_in_child=_begin_all)

"""A write that must not be lost to a store that is away for a while: repeated with growing pauses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from airflow_provider_bitscale.api.retry import backoff

log = logging.getLogger(__name__)


class OwnerChangedError(Exception):
    """The store takes nothing more from this try: the task was cleared, or another try runs."""


def pause_after(failures: int) -> float:
    """Seconds between a failed attempt and the next one.

    :param failures: in a row, from 1.
    """
    return backoff(failures, first=1.0)


class DurableWrite:
    """One write, repeated until the store takes it.

    :param write: raises if it failed, though the store may have taken it all the same; may be repeated.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._failures = 0
        # Unix seconds before which another attempt is of no use.
        self.next_at = 0.0

    def attempt(self) -> bool:
        """Write once; whether the store took it.

        :raises OwnerChangedError: it will never take it.
        """
        try:
            self._attempt()
        except OwnerChangedError:
            raise
        except Exception as problem:
            log.warning("The task's state store failed to write: %s", problem)
            return False
        return True

    def persist(self, seconds: float) -> None:
        """Write, again and again where that fails.

        :param seconds: for which attempts are repeated.
        :raises Exception: of the last attempt, if none succeeded.
        """
        give_up_at = time.time() + seconds
        while True:
            try:
                return self._attempt()
            except OwnerChangedError:
                raise
            except Exception as problem:
                if self.next_at > give_up_at:
                    raise
                log.warning("The task's state store failed to write, trying again: %s", problem)
                time.sleep(max(0.0, self.next_at - time.time()))

    def _attempt(self) -> None:
        try:
            self._write()
        except Exception:
            self._failures += 1
            self.next_at = time.time() + pause_after(self._failures)
            raise

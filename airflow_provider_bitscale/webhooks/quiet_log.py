"""A log that callers of the receiver cannot fill."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

QUIET_SECONDS = 60.0


@dataclass
class _Told:
    """What is known of a reason that has been logged."""

    quiet_until: float = 0.0
    unsaid: int = 0


class QuietLog:
    """Logs a reason once a minute, however often it comes, and how often it came meanwhile.

    :param log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: dict[tuple[str, ...], _Told] = {}

    def tell(
        self,
        level: int,
        reason: tuple[str, ...],
        message: str,
        *args: object,
        exc_info: Exception | None = None,
    ) -> None:
        """Log a message, unless one for the same reason was logged in the last minute.

        :param reason: one of few: it is remembered, and must not be in the words of whoever calls.
        :param exc_info: an error to add with its traceback, the first time alone.
        """
        now = time.monotonic()
        is_first = reason not in self._told
        told = self._told.setdefault(reason, _Told())
        if now < told.quiet_until:
            told.unsaid += 1
            return
        if told.unsaid:
            message, args = f"{message} (and %d times since this was last logged)", (*args, told.unsaid)
        self._told[reason] = _Told(now + QUIET_SECONDS)
        self._log.log(level, message, *args, exc_info=exc_info if is_first else None)

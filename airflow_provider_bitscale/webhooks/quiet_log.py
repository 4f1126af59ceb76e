"""A log that requests from anybody cannot fill."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

QUIET_SECONDS = 60.0


@dataclass
class _Reason:
    """A reason that was logged."""

    quiet_until: float = 0.0
    suppressed: int = 0


class QuietLog:
    """Logs each reason at most once a minute, with how often it was suppressed since."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._reasons: dict[tuple[str, ...], _Reason] = {}

    def log(
        self,
        level: int,
        reason: tuple[str, ...],
        message: str,
        *args: object,
        exc_info: Exception | None = None,
    ) -> None:
        """Log a message, unless one for the same reason was logged in the last minute.

        :param reason: one of few, since it is kept; never text from a request.
        :param exc_info: an error whose traceback is logged, the first time only.
        """
        now = time.monotonic()
        is_first = reason not in self._reasons
        logged = self._reasons.setdefault(reason, _Reason())
        if now < logged.quiet_until:
            logged.suppressed += 1
            return
        if logged.suppressed:
            message, args = f"{message} (and %d times since this was last logged)", (*args, logged.suppressed)
        self._reasons[reason] = _Reason(now + QUIET_SECONDS)
        self._log.log(level, message, *args, exc_info=exc_info if is_first else None)

"""A log that callers of the receiver cannot fill."""

from __future__ import annotations

import logging
import time

QUIET_SECONDS = 60.0


class QuietLog:
    """Logs a reason once a minute, however often it comes.

    :param log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._quiet_until: dict[tuple[str, ...], float] = {}

    def tell(
        self, level: int, reason: tuple[str, ...], message: str, *args: object, exc_info: bool = False
    ) -> None:
        """Log a message, unless one for the same reason was logged in the last minute.

        :param reason: one of few: it is remembered, and must not be in the words of whoever calls.
        :param exc_info: whether to add the traceback of the error that is handled.
        """
        now = time.monotonic()
        if now >= self._quiet_until.get(reason, now):
            self._quiet_until[reason] = now + QUIET_SECONDS
            self._log.log(level, message, *args, exc_info=exc_info)

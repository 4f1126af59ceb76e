"""What both clients do about the attempts of one request: count them, and ask what follows each failure."""

from __future__ import annotations

import random
import time
from typing import Any

from airflow_provider_bitscale.api.call import Call
from airflow_provider_bitscale.api.errors import AuthenticationError, BitScaleError
from airflow_provider_bitscale.api.retry import MAX_ATTEMPTS, after_failure


class Attempts:
    """The attempts of one request.

    :param patient: False for one attempt, besides one with a renewed key.
    :ivar left_at: when the latest attempt began, in seconds of the monotonic clock.
    """

    def __init__(self, call: Call[Any], *, patient: bool) -> None:
        self._call = call
        self._patient = patient
        self._failures = 0
        self._asked_for_key = False
        self._started = self.left_at = time.monotonic()

    def begin(self) -> None:
        """Note that the request leaves now."""
        self.left_at = time.monotonic()

    def wants_new_key(self, error: BitScaleError) -> bool:
        """Whether another key may help: asked for once, and not for a call that is about the key itself."""
        wants = isinstance(error, AuthenticationError) and not (
            self._asked_for_key or self._call.is_about_key
        )
        self._asked_for_key = self._asked_for_key or wants
        return wants

    def pause_after(self, error: BitScaleError) -> float:
        """Seconds to pause before the request is sent again.

        :raises BitScaleError: it is not sent again; it may be another error than that of the attempt.
        """
        self._failures += 1
        step = after_failure(
            error,
            ambiguity=self._call.ambiguity,
            attempt=self._failures,
            elapsed=time.monotonic() - self._started,
            jitter=random.random(),  # noqa: S311
            max_attempts=MAX_ATTEMPTS if self._patient else 1,
        )
        if isinstance(step, BitScaleError):
            step.left_at = self.left_at
            raise step from None
        return step

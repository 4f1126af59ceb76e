"""One pacer for each base URL and API key in a process, shared by every client in it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import Mapping

from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.errors import RateLimitedError
from airflow_provider_bitscale.api.limit.rate_limit import RateLimit

# A poll has a deadline, and a pause that the server asks for must not make it miss that.
IMPATIENT_SECONDS = 5.0


class Pacer:
    """Lets requests leave when the rate limit allows: in an event loop, in the order in which they asked.

    Safe to use from several threads and event loops; all of them share one :class:`RateLimit`.
    """

    def __init__(self) -> None:
        self.limit = RateLimit()
        self._state_lock = threading.Lock()
        self._queue = threading.Lock()

    def wait(self, *, patient: bool = True) -> None:
        """Block until a request may leave, and count it as sent.

        :param patient: False to raise rather than wait for more than a few seconds.
        :raises RateLimitedError: the limit allows no request soon, and the caller is not patient.
        """
        with self._queue:
            while delay := self.book():
                time.sleep(_bearable(delay, patient))

    async def wait_async(self, queue: asyncio.Lock, *, patient: bool = True) -> None:
        """Wait until a request may leave, and count it as sent; see :meth:`wait`.

        :param queue: the waiting line of this event loop.
        """
        if not queue.locked() and not self.book():
            return
        async with queue:
            while delay := self.book():
                await asyncio.sleep(_bearable(delay, patient))

    def book(self) -> float:
        """Book the slot of a request that leaves now, if one may.

        :return: 0 if the slot is booked; else seconds after which there may be one.
        """
        now = time.time()
        with self._state_lock:
            delay = self.limit.delay(now)
            if delay <= 0:
                self.limit.sent(now)
            return delay

    def limit_to(self, requests_per_minute: float | None, assumed_per_second: float | None) -> None:
        """Set the configured ceiling and the rate that the contract assumes; the last call counts."""
        with self._state_lock:
            self.limit.requests_per_minute = requests_per_minute
            self.limit.assumed_per_second = assumed_per_second

    def counted(self) -> None:
        """Note that a sent request has surely been counted, though its answer may take minutes."""
        with self._state_lock:
            self.limit.counted()

    def answered(self, status: int, headers: Mapping[str, str], *, counted: bool = False) -> None:
        """Note the answer to a request, and whether it was called :meth:`counted`."""
        with self._state_lock:
            self.limit.answered(time.time(), status, headers, random.random(), counted=counted)  # noqa: S311

    def failed(self, *, counted: bool = False) -> None:
        """Note that a request got no answer; see :meth:`answered`."""
        with self._state_lock:
            self.limit.failed(counted=counted)


class AnsweredLate:
    """Tells the pacer that a request has been counted, if it is not over by then. For one event loop."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._counted = False
        self._timer = asyncio.get_running_loop().call_later(pacer.limit.counted_after, self._count)

    def over(self) -> bool:
        """Note the end of the request; return whether it had been counted."""
        self._timer.cancel()
        return self._counted

    def _count(self) -> None:
        self._counted = True
        self._pacer.counted()


_pacers: dict[tuple[str, bytes], Pacer] = {}
_registry_lock = threading.Lock()


def pacer_for(config: ClientConfig, assumed_per_second: float | None) -> Pacer:
    """Return the pacer that every client with this base URL and API key shares."""
    key = (config.base_url, hashlib.sha256(config.api_key.encode()).digest())
    with _registry_lock:
        pacer = _pacers.setdefault(key, Pacer())
    pacer.limit_to(config.requests_per_minute, assumed_per_second)
    return pacer


def _bearable(delay: float, patient: bool) -> float:
    if delay > IMPATIENT_SECONDS and not patient:
        raise RateLimitedError(f"no request may be sent for {delay:.0f} s", retry_after=delay)
    return delay

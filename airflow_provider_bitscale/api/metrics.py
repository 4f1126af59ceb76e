"""What clients count, for whoever has a place to send it: Airflow's metrics, see :mod:`hooks.metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

REQUESTS = "bitscale.requests"
"""Requests that were sent, by ``endpoint`` and ``outcome``."""
RATE_LIMIT_WAIT = "bitscale.rate_limit.wait"
"""Milliseconds that a request waited for the rate limit."""
RATE_LIMIT_REFUSED = "bitscale.rate_limit.refused"
"""Requests that were answered 429."""
SHARED_STATE_ERRORS = "bitscale.rate_limit.shared_state_errors"
"""Questions to shared state that got no answer, or one that could not be read."""


class Sink(Protocol):
    """Takes figures; must not raise."""

    def incr(self, name: str, tags: Mapping[str, str]) -> None:
        """Count one."""

    def timing(self, name: str, milliseconds: float, tags: Mapping[str, str]) -> None:
        """Note how long something took."""


_sink: Sink | None = None


def send_to(sink: Sink | None) -> None:
    """Send all figures of this process there; None for nowhere."""
    global _sink
    _sink = sink


def count(name: str, **tags: str) -> None:
    """Count one."""
    if _sink is not None:
        _sink.incr(name, tags)


def note_time(name: str, seconds: float, **tags: str) -> None:
    """Note how long something took."""
    if _sink is not None:
        _sink.timing(name, 1000.0 * seconds, tags)

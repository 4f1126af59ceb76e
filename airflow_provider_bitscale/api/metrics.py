"""What clients count, for whoever has a place to send it: Airflow's metrics, see :mod:`hooks.metrics`.

Tags hold no ids: neither of grids nor of runs or rows.
"""

from __future__ import annotations

import logging
from typing import Protocol

log = logging.getLogger(__name__)

REQUESTS = "bitscale.requests"
"""Requests that were sent, by ``endpoint``, such as ``post_grids_grid_id_run``, and ``outcome``: ``ok``,
``refused`` (429), ``client_error`` (any other status below 500), ``server_error``, or ``unanswered`` if no
whole answer came."""
RATE_LIMIT_WAIT = "bitscale.rate_limit.wait"
"""Milliseconds that a request waited for the rate limit."""
RATE_LIMIT_REFUSED = "bitscale.rate_limit.refused"
"""Requests that were answered 429."""
SHARED_STATE_ERRORS = "bitscale.rate_limit.shared_state_errors"
"""Questions to shared state that got no answer, or one that could not be read."""


class Sink(Protocol):
    """Takes figures. It may raise: figures are lost then, and nothing else."""

    def incr(self, name: str, tags: dict[str, str]) -> None:
        """Count one."""

    def timing(self, name: str, milliseconds: float, tags: dict[str, str]) -> None:
        """Note how long something took."""


_sink: Sink | None = None
_has_told = False


def send_to(sink: Sink | None) -> None:
    """Send all figures of this process there; None for nowhere."""
    global _sink
    _sink = sink


def count(name: str, **tags: str) -> None:
    """Count one."""
    if _sink is not None:
        try:
            _sink.incr(name, tags)
        except Exception as error:
            _tell(error)


def note_time(name: str, seconds: float, **tags: str) -> None:
    """Note how long something took."""
    if _sink is not None:
        try:
            _sink.timing(name, 1000.0 * seconds, tags)
        except Exception as error:
            _tell(error)


def count_request(endpoint: str, status: int | None) -> None:
    """Count a request that was sent.

    :param status: of its answer; None if no whole answer came.
    """
    if _sink is not None:
        count(REQUESTS, endpoint=endpoint, outcome=_outcome(status))


def _outcome(status: int | None) -> str:
    if status is None:
        return "unanswered"
    if status == 429:
        return "refused"
    if status >= 500:
        return "server_error"
    return "ok" if 200 <= status < 300 else "client_error"


def _tell(error: Exception) -> None:
    global _has_told
    if not _has_told:
        _has_told = True
        log.warning("Metrics are lost: %s: %s", type(error).__name__, error)

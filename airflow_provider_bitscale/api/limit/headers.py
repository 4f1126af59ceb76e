"""Pure: what an answer says about the rate limit.

BitScale reports its limit in ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (API document, "Rate
Limiting") and asks for pauses with ``Retry-After``.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

# No single header may silence a process for longer.
MAX_PAUSE = 300.0


class WindowHeaders(NamedTuple):
    """The server's window; None for what is not told, or cannot be read.

    :param limit: requests in a window.
    :param remaining: requests left of it.
    :param reset: Unix seconds, by the server's clock, at which it ends.
    """

    limit: float | None
    remaining: float | None
    reset: float | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> WindowHeaders | None:
        """Read the headers of an answer; None if they tell of no window."""
        limit, remaining = headers.get("X-RateLimit-Limit"), headers.get("X-RateLimit-Remaining")
        if limit is None and remaining is None:
            return None
        return cls(_number(limit), _number(remaining), _number(headers.get("X-RateLimit-Reset")))


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number of seconds or an HTTP date; None if unreadable."""
    seconds = _number(value)
    if seconds is None:
        date = http_date(value)
        seconds = None if date is None else date - now
    return None if seconds is None else min(max(seconds, 0.0), MAX_PAUSE)


# A Date header changes once a second, and may be read a thousand times in it.
@lru_cache(maxsize=16)
def http_date(value: str | None) -> float | None:
    """Return an HTTP date in Unix seconds; None if it is none, or one that no clock shows."""
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None

"""Pure: an even pace of requests, as configured, assumed, or worked out of a window."""

from __future__ import annotations

from typing import NamedTuple

# Seconds of a configured rate that may be used in one burst.
BURST_SECONDS = 5.0
# Share of a window that is left unused, one request at most: half of it is for requests that overtake others,
# half for catching up.
SPARE_SHARE = 0.05
SPARE_REQUESTS = 1.0


class Pace(NamedTuple):
    """An even pace.

    :param gap: seconds from one request to the next; 0 for no such pace.
    :param behind: seconds behind the pace that may be caught up.
    """

    gap: float
    behind: float


NO_PACE = Pace(0.0, 0.0)


def evenly(requests: float, seconds: float) -> Pace:
    """Return the pace at which no window of this length sees more requests than that, whenever it begins."""
    spare = min(SPARE_REQUESTS, SPARE_SHARE * requests)
    gap = seconds / (requests - spare)
    return Pace(gap, spare / 2 * gap)


def pace_of(
    requests_per_minute: float | None,
    assumed_per_second: float | None,
    share: float,
    *,
    window_is_known: bool,
) -> Pace:
    """Return the pace that is configured or, with nothing better known, assumed.

    :param share: of that pace, which others use the key at, too; where the server tells of a window, it is
        that which is shared.
    :param window_is_known: whether the server tells when its window ends. Headers that tell of no window
        leave the rate as unknown as none at all.
    """
    if requests_per_minute:
        # A server that is assumed to count by the second has no room for bursts, whatever the rate.
        burst = 0.0 if assumed_per_second else BURST_SECONDS
        return Pace(60.0 / (requests_per_minute * (1.0 if window_is_known else share)), burst)
    if assumed_per_second and not window_is_known:
        return evenly(assumed_per_second * share, 1.0)
    return NO_PACE


class Slots:
    """When the next request may leave at a pace, which may change from one to the next.

    :ivar next_at: Unix seconds.
    """

    def __init__(self) -> None:
        self.next_at = 0.0

    def sent(self, now: float, pace: Pace) -> None:
        """Note that a request leaves now."""
        self.next_at = max(self.next_at, now - pace.behind) + pace.gap

    def delay(self, now: float) -> float:
        """Seconds until the next may leave."""
        return max(0.0, self.next_at - now)

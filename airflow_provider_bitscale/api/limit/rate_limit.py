"""Pure: when the next request may leave, by all that is known. Time is passed in, as Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_bitscale.api.limit.bookings import Refused, Told
from airflow_provider_bitscale.api.limit.clock import CLOCK_TOLERANCE
from airflow_provider_bitscale.api.limit.pace import Pace, Slots, pace_of
from airflow_provider_bitscale.api.limit.refusals import Refusals
from airflow_provider_bitscale.api.limit.traffic import Traffic
from airflow_provider_bitscale.api.limit.window import Window


class RateLimit:
    """The limit of one key: the strictest of the server's, the pace and the pauses it asks for.

    :param requests_per_minute: a configured ceiling, besides the server's; None for none.
    :param assumed_per_second: the rate that the server is assumed to allow while it reports none; a
        configured one goes before it. None for no such assumption.
    """

    def __init__(
        self, requests_per_minute: float | None = None, assumed_per_second: float | None = None
    ) -> None:
        self.requests_per_minute = requests_per_minute
        self.assumed_per_second = assumed_per_second
        self.traffic = Traffic()
        self._window = Window(self.traffic)
        self._refusals = Refusals()
        self._slots = Slots()

    def delay(self, now: float, *, paced: bool = True) -> float:
        """Seconds until a request may be sent; 0 for at once.

        :param paced: False to leave out the pace, for whoever books slots with others.
        """
        if now < self.traffic.last_sent - CLOCK_TOLERANCE:
            self._our_clock_was_set_back(now)
        by_window = self._window.delay(now)
        by_pace = self._slots.delay(now) if paced and self._pace.gap else 0.0
        by_traffic = self.traffic.delay(now) if self.assumed_per_second is None else 0.0
        return max(0.0, self._refusals.delay(now), by_pace, by_traffic, by_window)

    def sent(self, now: float) -> None:
        """Note that a request leaves now."""
        self.traffic.sent(now)
        self._slots.sent(now, self._pace)
        self._window.sent(now, self._refusals.share)

    @property
    def counted_after(self) -> float:
        """Seconds after which a request that is answered late may be called :meth:`counted`."""
        return self._window.counted_after

    def counted(self) -> None:
        """Note that the server has surely counted a request that is still under way."""
        self.traffic.counted()

    def failed(self, *, counted: bool = False) -> None:
        """Note that a request got no answer, and whether it was called :meth:`counted`."""
        self.traffic.over(counted=counted, answered=False)

    def answered(
        self,
        now: float,
        status: int,
        headers: Mapping[str, str],
        jitter: float,
        *,
        counted: bool = False,
        took: float = 0.0,
    ) -> Refused | Told | None:
        """Note the answer to a request, and whether it was called :meth:`counted`.

        :param jitter: a random number in [0, 1), to spread those who wait for the same reset.
        :param took: seconds since it left.
        :return: what others should know who use the same key.
        """
        self.traffic.over(counted=counted, answered=True)
        documented = self.assumed_per_second is None
        if self._window.answered(now, headers, late=counted, reset_is_documented=documented):
            self._refusals.hold(now + 1.0)
        if status == 429:
            asked = self._window.asked_to_wait(now, headers)
            self._refusals.refused(now, asked, jitter)
            return Refused(took, asked or 0.0, jitter)
        self._refusals.passed()
        return self._window.told

    @property
    def per_second(self) -> float | None:
        """Requests a second that are allowed, as far as that is known; for people to read."""
        told = self._window.per_second
        if self.requests_per_minute:
            ceiling = self.requests_per_minute / 60.0
            return ceiling if told is None else min(told, ceiling)
        return self.assumed_per_second if told is None else told

    @property
    def shared_pace(self) -> Pace:
        """The pace that is configured or assumed, of which others who book slots know their share."""
        return pace_of(self.requests_per_minute, self.assumed_per_second, 1.0, window_is_known=False)

    @property
    def _pace(self) -> Pace:
        known = self._window.reset_at is not None
        share = self._refusals.share
        return pace_of(self.requests_per_minute, self.assumed_per_second, share, window_is_known=known)

    def _our_clock_was_set_back(self, now: float) -> None:
        self.traffic.last_sent = self._slots.next_at = now
        self._refusals.our_clock_was_set_back(now)
        self._window.our_clock_was_set_back(now)

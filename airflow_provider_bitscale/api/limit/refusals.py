"""Pure: how long to hold back after a 429, and how much slower to go on."""

from __future__ import annotations

from airflow_provider_bitscale.api.retry import backoff

MAX_BACKOFF = 60.0
# After a reset, so that small differences between clocks do not fall into the old window.
RESET_MARGIN = 0.01
# Others may use the same key. Each refusal halves the share taken of the rate, and each other answer gives a
# little of it back.
SMALLEST_SHARE = 0.05
SHARE_REGAINED = 0.02


class Refusals:
    """The 429s of a key.

    :ivar share: of the rate that may be used, in (0, 1].
    """

    def __init__(self) -> None:
        self.share = 1.0
        self._blocked_until = 0.0
        self._in_a_row = 0

    def delay(self, now: float) -> float:
        """Seconds until any request may leave."""
        return max(0.0, self._blocked_until - now)

    def hold(self, until: float) -> None:
        """No request may leave before these Unix seconds."""
        self._blocked_until = max(self._blocked_until, until)

    def refused(self, now: float, asked: float | None, jitter: float) -> None:
        """Note that a request was answered 429.

        :param asked: seconds that the server asks to wait; None if it does not.
        :param jitter: a random number in [0, 1), to spread those who wait for the same moment.
        """
        if now >= self._blocked_until:
            # Those that were under way together are refused together, which is one refusal.
            self._in_a_row += 1
            self.share = max(SMALLEST_SHARE, self.share / 2)
        # A server that asks for no pause, or one in the past, is not to be taken at its word.
        pause = asked or backoff(max(self._in_a_row, 1), first=1.0, longest=MAX_BACKOFF)
        self.hold(now + pause + RESET_MARGIN + jitter * min(1.0, 0.1 * pause))

    def passed(self) -> None:
        """Note that a request was not refused."""
        self.share = min(1.0, self.share + SHARE_REGAINED)
        self._in_a_row = 0

    def our_clock_was_set_back(self, now: float) -> None:
        """Forget waits for a time that is in the future again."""
        self._blocked_until = now

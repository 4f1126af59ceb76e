"""Pure: the requests of ours that are under way."""

from __future__ import annotations

# Requests that may be under way until the first answer tells the limit.
UNLEARNED_IN_FLIGHT = 4
# How soon to ask again while only an answer to a request under way can tell more.
UNTIL_AN_ANSWER = 0.02


class Traffic:
    """Requests under way.

    :ivar in_flight: those that the server may count yet.
    :ivar late: those that it has surely counted; their answers take minutes.
    :ivar last_sent: Unix seconds at which the latest left.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.late = 0
        self.last_sent = 0.0
        self._answered = False

    def sent(self, now: float) -> None:
        """Note that a request leaves now."""
        self.in_flight += 1
        self.last_sent = now

    def counted(self) -> None:
        """Note that the server has surely counted a request that is still under way."""
        self.in_flight -= 1
        self.late += 1

    def over(self, *, counted: bool, answered: bool) -> None:
        """Note that a request is over, and whether it was called :meth:`counted`."""
        self._answered = self._answered or answered
        if counted:
            self.late -= 1
        else:
            self.in_flight -= 1

    def delay(self, now: float) -> float:
        """Seconds for which the first answers are awaited.

        They may be long in coming, a synchronous run takes minutes: so one more request leaves each second.
        """
        crowded = self.in_flight >= UNLEARNED_IN_FLIGHT and now < self.last_sent + 1.0
        return UNTIL_AN_ANSWER if crowded and not self._answered else 0.0

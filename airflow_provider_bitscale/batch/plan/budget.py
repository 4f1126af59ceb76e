"""Pure: a cap on credits that holds while runs are in flight."""

from __future__ import annotations

from math import sqrt

# The costs of many runs stay below this many standard deviations above what is expected of them.
_DEVIATIONS = 4.0
# Each run in flight beyond the number of known costs may cost this many times the highest one.
_SURPRISE = 10.0
# How many runs may end without a known cost as long as no cost is known.
_MOST_UNKNOWN = 10


class Budget:
    """Reserves what runs may cost before they are submitted, and settles when they have ended.

    What runs may cost is learned from those that ended: the mean and how far costs spread, for a few runs the
    highest cost seen, and a margin that shrinks the more has been seen. Until a cost is known, one run
    more may be in flight than have ended.

    :param cap: credits that may be spent in all; None for no cap.
    :param spent: credits spent before, by earlier tries.
    :param unknown: runs that were paid for, or may have been, at a cost that is not known.
    """

    def __init__(self, cap: float | None, spent: float = 0, unknown: int = 0) -> None:
        self.cap = cap
        self.spent = spent
        self.in_flight = 0
        self._unknown = self._inherited = unknown
        self._seen = 0
        self._sum = 0.0
        self._sum_of_squares = 0.0
        self._highest = 0.0

    @property
    def expected(self) -> float | None:
        """Credits that a run costs on average; None while no cost is known."""
        return self._sum / self._seen if self._seen else None

    @property
    def committed(self) -> float:
        """Credits spent, and expected for what is in flight or of unknown cost."""
        return self.spent + (self.in_flight + self._unknown) * (self.expected or 0.0)

    def allows(self) -> bool:
        """Whether one more run may be submitted now."""
        if self.cap is None:
            return True
        if not self._highest:
            unknown_now = self._unknown - self._inherited
            return self.in_flight <= self._seen and self.spent < self.cap and unknown_now < _MOST_UNKNOWN
        unheard_of = max(0, self.in_flight + 1 - self._seen) * _SURPRISE * self._highest
        return self.spent + self._reserve(self.in_flight + self._unknown + 1) + unheard_of <= self.cap

    def reserve(self) -> None:
        """Reserve credits for a run that is about to be submitted, or goes on from an earlier try."""
        self.in_flight += 1

    def release(self) -> None:
        """Release the credits of a run that was not started."""
        self.in_flight -= 1

    def settle(self, credits: float | None) -> None:
        """Charge a run that has ended, or is given up; where its cost is not known, the reserve stays."""
        self.in_flight -= 1
        if credits is None:
            self._unknown += 1
            return
        self.spent += credits
        self._seen += 1
        self._sum += credits
        self._sum_of_squares += credits * credits
        self._highest = max(self._highest, credits)

    def inherit(self) -> None:
        """Count a run of an earlier try that was, or may have been, paid for at an unknown cost."""
        self._unknown += 1
        self._inherited += 1

    def recover(self) -> None:
        """Take back a run that was given up and is under way after all."""
        self.in_flight += 1
        self._unknown -= 1

    def _reserve(self, runs: int) -> float:
        mean = self._sum / self._seen
        deviation = sqrt(max(0.0, self._sum_of_squares / self._seen - mean * mean))
        # The mean is uncertain too: what was seen are some runs of many.
        spread = deviation * sqrt(runs * (1 + runs / self._seen))
        likely = runs * mean + _DEVIATIONS * spread + self._highest
        return min(likely, runs * self._highest) * (1 + 1 / sqrt(self._seen))

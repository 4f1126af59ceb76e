"""Pure: a cap on credits that holds while runs are in flight."""

from __future__ import annotations

from math import sqrt


class Budget:
    """Reserves what a run is expected to cost before it is submitted, and settles when it has ended.

    Expected is the highest cost seen, and a margin that shrinks the more has been seen. As long as nothing
    has been seen, one run at a time is let through.

    :param cap: credits that may be spent in all; None for no cap.
    :param spent: credits spent before, by earlier tries.
    :param untold: runs that were paid for, or may have been, and nobody knows how dear they were.
    """

    def __init__(self, cap: float | None, spent: float = 0, untold: int = 0) -> None:
        self.cap = cap
        self.spent = spent
        self.in_flight = 0
        self._untold = untold
        self._seen = 0
        self._highest = 0.0

    @property
    def expected(self) -> float | None:
        """Credits to reserve for a run; None while no cost is known."""
        return self._highest * (1 + 1 / sqrt(self._seen)) if self._seen else None

    @property
    def committed(self) -> float:
        """Credits spent, and reserved for what is in flight or untold."""
        return self.spent + (self.in_flight + self._untold) * (self.expected or 0.0)

    def allows(self) -> bool:
        """Whether one more run may be submitted now."""
        if self.cap is None:
            return True
        if self.expected is None:
            return self.in_flight == 0 and self.spent < self.cap
        return self.committed + self.expected <= self.cap

    def reserve(self) -> None:
        """A run is about to be submitted, or goes on from an earlier try."""
        self.in_flight += 1

    def release(self) -> None:
        """The run was not started."""
        self.in_flight -= 1

    def settle(self, credits: float | None) -> None:
        """The run has ended, or is given up.

        :param credits: what it cost; None where that is not known, and the reserve stays.
        """
        self.in_flight -= 1
        if credits is None:
            self._untold += 1
            return
        self.spent += credits
        if credits > 0:
            self._seen += 1
            self._highest = max(self._highest, credits)

"""Pure: the rows of a batch of which only a delivery can tell whether a run was started."""

from __future__ import annotations

# A row is waited for for so many times the length of the longest run, and so many seconds at least: a
# delivery that fails is repeated.
PATIENCE = 3.0
LEAST_PATIENCE = 120.0


class AmbiguousRows:
    """Rows in doubt, and for how long they are waited for. Time is passed in, in seconds.

    :param timeout: after which a row is given up in any case.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._since: dict[int, float] = {}
        self._longest_run: float | None = None

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, row: int) -> bool:
        return row in self._since

    def add(self, row: int, now: float) -> None:
        """This row is in doubt from now on."""
        self._since[row] = now

    def end(self, row: int) -> float:
        """A delivery told of this row; since when it was in doubt."""
        return self._since.pop(row)

    def end_all(self) -> list[int]:
        """The rows in doubt, which are so no more."""
        rows = list(self._since)
        self._since.clear()
        return rows

    def ran(self, seconds: float) -> None:
        """A run took so long."""
        self._longest_run = max(seconds, self._longest_run or 0.0)

    def give_up(self, now: float, *, only_they_are_left: bool) -> list[int]:
        """The rows of which nobody will tell any more, which are in doubt no more.

        :param only_they_are_left: while anything else can go on, waiting costs nothing. After that, it is for
            as long as a run may take, as far as that is known.
        """
        patience = self._timeout
        if only_they_are_left and self._longest_run is not None:
            patience = min(patience, max(LEAST_PATIENCE, PATIENCE * self._longest_run))
        rows = [row for row, since in self._since.items() if now - since >= patience]
        for row in rows:
            del self._since[row]
        return rows

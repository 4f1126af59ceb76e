"""Pure: what is wrong with the rows of an input, in one sentence."""

from __future__ import annotations

MAX_LENGTH = 300
# Different problems that are named; all rows are counted.
_MAX_NAMED = 20
# Rows that are named for one problem.
_MAX_PLACES = 3


class RowErrors:
    """What is wrong with rows: a problem that many share is named once."""

    def __init__(self) -> None:
        self.rows = 0
        self._named: dict[str, tuple[list[str], int]] = {}

    def add(self, place: str, problem: str) -> None:
        """Add an error of the row at this place."""
        self.rows += 1
        problem = _shortened(problem)
        if problem in self._named or len(self._named) < _MAX_NAMED:
            places, count = self._named.get(problem, ([], 0))
            self._named[problem] = ([*places, place][:_MAX_PLACES], count + 1)

    def __str__(self) -> str:
        named = [
            f"{', '.join(places)}{_and_more(count - len(places))}: {problem}"
            for problem, (places, count) in self._named.items()
        ]
        others = self.rows - sum(count for _, count in self._named.values())
        return f"{'; '.join(named)}{';' if others else ''}{_and_more(others)}"


def _and_more(rows: int) -> str:
    return f" and {rows:,} more" if rows else ""


def _shortened(problem: str) -> str:
    return problem if len(problem) <= MAX_LENGTH else problem[:MAX_LENGTH] + "…"

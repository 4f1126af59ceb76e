"""Pure: notes above the header of a table, so that its first line is taken for the header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table.table_text import Ragged, cells_told

_WAY_OUT = "if that is the header, remove the lines above it"


class Preamble:
    """Looks for the real header among the rows, where the first line has none of the names that are wanted.

    :param header: the first line.
    :param is_name: whether a text is the name of an input, or of a field that the batch names.
    """

    def __init__(self, header: Sequence[str], is_name: Callable[[str], bool]) -> None:
        self._header = header
        self._is_name = is_name
        self._may_be = bool(header) and not any(map(is_name, header))
        self._named: str | None = None
        self._rows = 0
        self._longer: Counter[int] = Counter()
        self._first: dict[int, str] = {}

    def look_at(self, place: str, found: dict[str, Any] | InvalidRequestError) -> None:
        """See whether this row is the header."""
        if not self._may_be or self._named:
            return
        self._rows += 1
        if isinstance(found, Ragged):
            cells = found.cells
            if found.is_longer:
                self._longer[len(cells)] += 1
                self._first.setdefault(len(cells), place)
        elif isinstance(found, dict):
            cells = [cell for cell in found.values() if isinstance(cell, str)]
        else:
            return
        if names := [cell for cell in cells if self._is_name(cell)]:
            self._named = f"{place} has the names {', '.join(map(repr, names))}: {_WAY_OUT}"

    @property
    def problem(self) -> str | None:
        """Where the header is; None if nothing says that it is not the first line."""
        if self._named or not self._longer:
            return self._named
        [(usual, count)] = self._longer.most_common(1)
        if 2 * count <= self._rows:
            return None
        return (
            f"the header has {cells_told(len(self._header))}, and most lines have {usual}, the first of them "
            f"{self._first[usual]}: {_WAY_OUT}"
        )

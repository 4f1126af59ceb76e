"""What the readers of CSV and JSON share: a row with its place, or what is wrong with it or with the file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from airflow_provider_bitscale.api.carriable import carriable
from airflow_provider_bitscale.api.errors import InvalidRequestError

# Where a row stands, for messages, and its fields or what is wrong with it.
Record: TypeAlias = "tuple[str, dict[str, Any] | InvalidRequestError]"


class Unreadable(Exception):
    """Not one row can be read."""


class Ragged(InvalidRequestError):
    """A row of CSV does not have as many cells as the header.

    :param is_longer: whether there is something in the cells that the header does not have.
    """

    def __init__(self, message: str, cells: Sequence[str], *, is_longer: bool) -> None:
        super().__init__(message)
        self.cells = cells
        self.is_longer = is_longer


def cell_count(number: int) -> str:
    """Return a number of cells, for messages."""
    return f"{number} cell{'s' if number > 1 else ''}"


def fields_of(row: Any) -> dict[str, Any] | InvalidRequestError:
    """Return the fields of a row that is not text; or what is wrong with it."""
    if isinstance(row, InvalidRequestError):
        return row
    if not isinstance(row, dict):
        return InvalidRequestError(f"it must be an object of fields, not {type(row).__name__}")
    for name in row:
        if not isinstance(name, str):
            return InvalidRequestError(f"it has the field {name!r}, which is not a text")
    # Of no value for a channel, but of one for the row: what a number is expected for refuses this text.
    row = {name: str(value) if _is_infinite(value) else value for name, value in row.items()}
    fields: dict[str, Any] = carriable(row)
    return fields


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def is_not_utf_8(text: str) -> bool:
    """Whether it has bytes that could not be decoded, as "surrogateescape" lets them through."""
    return _ESCAPED_BYTE.search(text) is not None


def not_utf_8(text: str) -> str:
    """Return what is wrong with such a text, and what it looks like."""
    # A letter here and there is one with an accent; where most letters are, they are of another script.
    others = len(_ESCAPED_BYTE.findall(text))
    if others > len(re.findall("[A-Za-z]", text)):
        looks_like = "an encoding such as Windows-1251, GBK or Shift JIS"
    else:
        looks_like = (
            "Windows-1252 (cp1252), which Excel writes as CSV: iconv -f WINDOWS-1252 -t UTF-8 converts it"
        )
    return f"it is not UTF-8, save it as 'CSV UTF-8'; it looks like {looks_like}"


_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")

"""Pure: how the text of a cell is read, by the type of its column."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_bitscale.api.models import Column, ColumnType


def reader_of(column: Column | None) -> Callable[[Any], Any]:
    """How the text of a cell is read for this column."""
    return _text if column is None else _CONVERSIONS.get(column.type, _text)


def _text(cell: Any) -> Any:
    return cell or None


def _number(cell: Any) -> Any:
    text = (cell or "").strip()
    if not _NUMBER.fullmatch(text):
        return _text(cell)
    with suppress(ValueError):
        return int(text)
    return float(text)


def _boolean(cell: Any) -> Any:
    return _BOOLEANS.get((cell or "").strip().lower(), _text(cell))


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_CONVERSIONS: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: _boolean,
}

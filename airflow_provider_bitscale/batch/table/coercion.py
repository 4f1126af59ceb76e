"""Pure: how a value is read for the type of its column, where it is certain what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_bitscale.api.blank import trimmed
from airflow_provider_bitscale.api.models import Column, ColumnType


def converter_of(column: Column | None) -> Callable[[Any], Any]:
    """How a value of a row is read for this column; None where its type is not known.

    What is not certain is left as it is, for the grid's schema to refuse.
    """
    return _as_it_is if column is None else _CONVERSIONS.get(column.type, _as_it_is)


def is_number(text: str) -> bool:
    """Whether a text is a number as most programs write one, such as ``-5`` or ``1.5e3``."""
    return _NUMBER.fullmatch(text) is not None


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    # Floats are not certain: 7 may have become 7.0 on its way.
    return str(value) if _is_whole(value) else value


def _number(value: Any) -> Any:
    text = trimmed(value) if isinstance(value, str) else ""
    if not is_number(text):
        return value
    with suppress(ValueError):
        return int(text)
    return float(text)


def _boolean(value: Any) -> Any:
    if isinstance(value, str) or _is_whole(value):
        return _BOOLEANS.get(trimmed(str(value)).lower(), value)
    return value


def _date(value: Any) -> Any:
    """As ISO 8601 writes it, where a database or a spreadsheet wrote a space, UTC, or an offset of hours."""
    if not isinstance(value, str):
        return value
    text = trimmed(value)
    match = _DAY_AND_TIME.fullmatch(text)
    if match is None:
        return text
    zone = match["zone"] or ""
    return f"{match['day']}T{match['time']}" + (
        "Z" if zone == "UTC" else f"{zone}:00" if len(zone) == 3 else zone
    )


def _trimmed(value: Any) -> Any:
    return trimmed(value) if isinstance(value, str) else value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DAY_AND_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T](?P<time>\d\d:\d\d(:\d\d(\.\d{1,9})?)?)"
    r" ?(?P<zone>Z|UTC|[+-]\d\d(:?\d\d)?)?",
    re.ASCII,
)
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_CONVERSIONS: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.TEXT: _text,
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.DATE: _date,
    ColumnType.URL: _trimmed,
    ColumnType.EMAIL: _trimmed,
}

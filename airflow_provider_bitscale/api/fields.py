"""Pure: typed fields of a JSON object. A field of another type is None; a required one raises ValueError."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from airflow_provider_bitscale.api.models import Json, Number
from airflow_provider_bitscale.api.unexpected import tell_once

# More than any id has. What is longer does not fit the names of assets, nor the keys of marks.
MAX_ID_CHARACTERS = 200
_WRAPPERS = ("data", "result", "response", "user", "workspace", "grid")
# Beyond this a float does not tell one whole number from the next.
_EXACT = 2**53


def json_object(payload: Any) -> Json:
    """Return the payload, which must be an object.

    :raises ValueError: it is not, as for everything that is required here.
    """
    if not isinstance(payload, Mapping):
        raise ValueError(f"expected a JSON object, got {type(payload).__name__}")
    return payload


def part(data: Json, key: str) -> Json | None:
    """Return a field that is an object; None otherwise."""
    value = data.get(key)
    return value if isinstance(value, Mapping) else None


def unwrapped(payload: Any, *keys: str) -> Json:
    """Return the payload, or the object in it that has one of these fields instead."""
    data = json_object(payload)
    inner = (value for name in _WRAPPERS if isinstance(value := data.get(name), Mapping))
    return next((each for each in (data, *inner) if any(map(each.get, keys))), data)


def json_list(payload: Any, key: str) -> list[Any]:
    """Return a field that must be a list, or that ``data`` holds, or is."""
    data = unwrapped(payload, key)
    items = data.get(key, data.get("data"))
    if not isinstance(items, list):
        raise ValueError(f"expected a list in {key!r}, got {type(items).__name__}")
    return items


def required_text(data: Json, key: str) -> str:
    """Return a field that must be text, and not empty."""
    value = text(data, key)
    if not value:
        raise ValueError(f"{key!r} is missing")
    return value


def required_id(data: Json, key: str) -> str:
    """Return a field that must be an id: text, or a whole number."""
    value = text(data, key) or id_text(data.get(key))
    if not value:
        raise ValueError(f"{key!r} is missing")
    return value


def text(data: Json, key: str) -> str | None:
    """Return a field that is text; None otherwise."""
    value = data.get(key)
    return value if isinstance(value, str) else None


def is_id(value: Any) -> bool:
    """Whether it can be an id: printable text of at most 200 characters that fits a path."""
    if not isinstance(value, str) or len(value) > MAX_ID_CHARACTERS:
        return False
    return value.isprintable() and in_path(value)


def in_path(value: str) -> bool:
    """Whether it can be a segment of a path. Dots alone are segments of their own, even when quoted."""
    return bool(value.strip()) and bool(value.strip("."))


def id_text(value: Any) -> str | None:
    """Return an id as text, also if it was written as a whole number; None if it cannot be an id."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    value = value.strip() if isinstance(value, str) else None
    return value if is_id(value) else None


def named(data: Json, plain_names: Sequence[str]) -> list[str]:
    """Return the fields with one of these names, in any spelling; in the order of the names."""
    if not isinstance(data, Mapping):
        return []
    found = [name for name in data if plain(name) in plain_names]
    # Almost always there is one, or none.
    return found if len(found) < 2 else sorted(found, key=lambda name: plain_names.index(plain(name)))


def plain(name: str) -> str:
    """Return a name in lower case, letters and digits only: ``requestId`` and ``request_id`` alike."""
    # The same few names come in every answer. Long ones do not, and would fill the cache.
    return _plain(name) if len(name) <= MAX_ID_CHARACTERS else _plain.__wrapped__(name)


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def number(data: Json, key: str) -> Number | None:
    """Return a field that is a finite number; None otherwise."""
    value = data.get(key)
    # JSON as Python reads it knows NaN and Infinity.
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (int, float)) else None


def amount(data: Json, key: str) -> Number | None:
    """Return a field that is an amount: a number, also as text, of at most a trillion; None otherwise."""
    value = number(data, key)
    if (written := text(data, key)) is not None and _NUMBER.fullmatch(written.strip()):
        value = float(written)
        value = int(value) if value.is_integer() else value
    return value if value is not None and abs(value) <= _MOST else None


def cost(data: Json, key: str) -> Number | None:
    """Return a field that is an amount spent; None otherwise, which is logged unless the field is absent."""
    value = amount(data, key)
    if value is not None and value >= 0:
        return value
    if data.get(key) is not None:
        tell_once(f"{key!r} is not an amount that can be spent, and is ignored")
    return None


def integer(data: Json, key: str) -> int | None:
    """Return a field that is a number, truncated; None otherwise."""
    value = number(data, key)
    return int(value) if value is not None else None


def boolean(data: Json, key: str) -> bool | None:
    """Return a field that is true or false; None otherwise."""
    value = data.get(key)
    return value if isinstance(value, bool) else None


def time(data: Json, key: str) -> datetime | None:
    """Return a field that is a date or time; None otherwise."""
    value = text(data, key)
    return parse_time(value) if value else None


def parse_time(text: str) -> datetime | None:
    """Parse ISO 8601; naive means UTC; None if invalid."""
    if not _ISO_8601.fullmatch(text):
        # What else datetime reads differs from one Python to the next.
        return None
    try:
        # Python 3.10 does not read the Z of the document's format.
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
# No amount of credits is larger.
_MOST = 1e12
_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.(\d{3}|\d{6}))?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)

"""Pure: which values a column takes, by its type (API document, "Column Types").

What passes here is what BitScale takes, so the rules are no looser than its document.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_bitscale.api.blank import is_invisible
from airflow_provider_bitscale.api.models import ColumnType


def misfit(kind: ColumnType, value: Any) -> str | None:
    """Return what a column of this type takes, and how it is written, if the value is something else.

    None if it fits. Of types that no rule is known for, everything fits.
    """
    if kind not in _EXPECTED or _fits(kind, value):
        return None
    form = f" (such as {_FORMS[kind]})" if kind in _FORMS else ""
    return f"takes {_EXPECTED[kind]}, not {value!r}{form}"


_EXPECTED = {
    ColumnType.TEXT: "text",
    ColumnType.NUMBER: "a number",
    ColumnType.URL: "an http(s) URL",
    ColumnType.EMAIL: "an email address",
    ColumnType.DATE: "an ISO 8601 date",
    ColumnType.BOOLEAN: "true or false",
}
_FORMS = {ColumnType.NUMBER: "1234.5", ColumnType.DATE: "2026-01-31 or 2026-01-31T09:30:00Z"}


def _fits(kind: ColumnType, value: Any) -> bool:
    if kind is ColumnType.NUMBER:
        if isinstance(value, float):
            return math.isfinite(value)
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is ColumnType.BOOLEAN:
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if kind is ColumnType.TEXT:
        return True
    return {ColumnType.URL: _is_url, ColumnType.EMAIL: _is_email, ColumnType.DATE: _is_date}[kind](value)


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        # The port is only read, and refused, where it is asked for.
        host, _ = url.hostname or "", url.port
    except ValueError:
        return False
    return (
        url.scheme in ("http", "https")
        and bool(host)
        and _NOT_IN_HOSTS.search(host) is None
        and _NEXT_URL.search(text) is None
        and not _has_gap(text)
    )


def _is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None and not _has_gap(text)


def _has_gap(text: str) -> bool:
    return any(character.isspace() or is_invisible(character) for character in text)


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(f"{match['day']}T{match['time'] or '00:00'}")
    except ValueError:
        return False
    return int(match["hours"] or 0) * 60 + int(match["minutes"] or 0) <= _MAX_OFFSET


# RFC 5322, "specials": what stands around addresses and between several, but in none of them unquoted.
_SPECIALS = r'<>()\[\]:;,\\"'
_LABEL = rf"[^@.{_SPECIALS}/?&=%#']+"
_EMAIL = re.compile(rf"[^@{_SPECIALS}]+@{_LABEL}(\.{_LABEL})+")
_NOT_IN_HOSTS = re.compile(r'[,;<>()"|{}^`\\]')
_NEXT_URL = re.compile("[,;|]https?://")
# In minutes, of the time zone that is farthest from UTC.
_MAX_OFFSET = 14 * 60
_DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(T(?P<time>\d\d:\d\d(:\d\d)?)(?:(?<=:\d\d:\d\d)\.\d{1,9})?"
    r"(Z|[+-](?P<hours>\d\d):?(?P<minutes>[0-5]\d))?)?",
    re.ASCII,
)

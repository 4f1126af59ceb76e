"""Pure: reads typed settings from the values of a connection, which may have any shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from airflow_provider_bitscale.runs.undefined import is_undefined

# What json.loads raises for a text: no JSON, an integer of too many digits, nested too deep.
_NO_JSON = (ValueError, RecursionError)
_SECRETS = ("password", "webhook_secret", "proxies")
# In characters: the longest value that a message shows whole.
_SHOWN = 60


def extra_fields(extra: Any, known: Sequence[str], problems: list[str]) -> Mapping[str, Any]:
    """Return the extra fields of a connection by name.

    :param extra: JSON text, as Airflow keeps it, or what it stands for.
    :param problems: gets a sentence for each problem.
    """
    if isinstance(extra, str):
        text = extra.strip() or "null"
        extra = "no JSON"
        with suppress(*_NO_JSON):
            extra = json.loads(text)
    fields = {} if extra is None else extra
    if not isinstance(fields, Mapping):
        problems.append("the extra fields are not a JSON object")
        return {}
    for name in fields:
        if name not in known:
            near = get_close_matches(str(name)[:_SHOWN], known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            problems.append(f"{_printable(str(name))} is not an extra field of a BitScale connection; {hint}")
    return fields


class FieldReader:
    """Reads typed values; each that does not fit adds a problem.

    Airflow reads the texts in a URI as JSON where it can, so texts may come as numbers and constants.
    """

    def __init__(self, fields: Mapping[str, Any], problems: list[str]) -> None:
        # The form sends an empty field as null or as empty text.
        self._fields = {name: value for name, value in fields.items() if value is not None and value != ""}
        self._problems = problems

    def text(self, name: str) -> str | None:
        """Return a text, or None; also what Airflow took for a number, if that kept all of its digits."""
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, (bool, int)):
            with suppress(ValueError):
                value = json.dumps(value)
        if isinstance(value, (int, float)):
            self._problems.append(
                f"{name} was read as a number and may have lost digits: write it as JSON text, in quotes"
            )
            return None
        if not isinstance(value, str):
            self._wrong(name, "text", value)
            return None
        if not _is_whole(value):
            self._problems.append(f"{name} has half of a character that takes two: write it in UTF-8")
            return None
        if value.strip() and is_undefined(value):
            self._problems.append(f"{name} is {value.strip()!r}: leave it out, if it stands for nothing")
            return None
        return value.strip()

    def number(self, name: str, default: float | None) -> float | None:
        """Return a number, be it written as text."""
        value = self._fields.get(name, default)
        if value is None:
            return None
        try:
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        except (TypeError, ValueError, OverflowError):
            self._wrong(name, "a number", value)
            return default

    def boolean(self, name: str, default: bool) -> bool:
        """Return True or False, which may be written as text."""
        value = self.boolean_or_text(name, default)
        if isinstance(value, bool):
            return value
        self._wrong(name, "true or false", value)
        return default

    def boolean_or_text(self, name: str, default: bool) -> bool | str:
        """Return True, False or another text."""
        value = self._fields.get(name, default)
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.strip().lower(), value)
        if isinstance(value, bool):
            return value
        self._wrong(name, "true, false or a path" if name == "verify" else "true or false", value)
        return default

    def mapping(self, name: str) -> dict[str, str] | None:
        """Texts by name, be they written as the text of a JSON object."""
        value = self._fields.get(name)
        if isinstance(value, str):
            with suppress(*_NO_JSON):
                value = json.loads(value)
        if isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        if value is not None:
            self._wrong(name, "a JSON object of scheme to URL", value)
        return None

    def _wrong(self, name: str, expected: str, value: Any) -> None:
        shown = "" if name in _SECRETS else f", not {_shown(value)}"
        self._problems.append(f"{name} must be {expected}{shown}")


def _shown(value: Any) -> str:
    """Return a value as a message shows it, unless it may hold a secret or be long."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number that long"
    return _printable(repr(value))


def _printable(text: str) -> str:
    """Return a text as a log takes it: short, on one line, and whole characters."""
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return text if text.isprintable() else ascii(text)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

r"""Pure: values that JSON allows, made safe for every channel that they go through in Airflow.

A trigger's event is msgpack and then JSON in a database, an XCom and the state store are JSON in a database,
a part is UTF-8. What one of them refuses would be lost after it was paid for, or would end the triggerer
that other tasks wait in. So values are made carriable once, where they are read:

===============================  =========================================
as it came                       as it is carried
===============================  =========================================
``\u0000`` in a text              dropped
half of a surrogate pair         ``\ufffd``
NaN, Infinity, -Infinity         None
an integer beyond 64 bits        its digits as text
anything nested too deep         its JSON as text, cut after 1,000 characters
===============================  =========================================

Keys of objects are texts like all others.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from functools import cache
from operator import is_
from typing import Any

log = logging.getLogger(__name__)

# msgpack refuses more than 64 bits; what is nested this deep no reader takes apart.
_LEAST, _MOST = -(2**63), 2**64 - 1
_MAX_DEPTH = 64
_MAX_TEXT = 1000
MAX_MESSAGE_LENGTH = 500

_ODD = re.compile("[\x00\ud800-\udfff]")
# Control characters other than white space, and marks that turn the direction of writing.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def carriable_text(text: str) -> str:
    """Return a text without NUL characters, and with U+FFFD for halves of surrogate pairs."""
    # Nearly all texts are fine, and nearly all of those are ASCII, which takes no search.
    if (text.isascii() and "\x00" not in text) or _ODD.search(text) is None:
        return text
    # Two halves that follow each other are one character, which this puts together.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\x00", "")


def plain_text(text: str) -> str:
    """Return a :func:`carriable_text` without hidden characters, or ones that a terminal obeys."""
    return _UNSEEN.sub("", carriable_text(text))


def shorten(text: str, length: int = MAX_MESSAGE_LENGTH) -> str:
    """Return a text of a server on one line for a person, cut where it is long."""
    # Of a text as long as an answer, only the beginning is worth the work.
    text = " ".join(plain_text(text[: 10 * length]).split())
    return text if len(text) <= length else text[:length] + "…"


def carriable(value: Any, depth: int = 0) -> Any:
    """Return the value, with everything replaced that a channel of Airflow does not carry.

    :param depth: of the value, within others.
    :return: the same object where nothing had to be replaced.
    """
    if isinstance(value, str):
        return carriable_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _LEAST <= value <= _MOST else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, (dict, list, tuple, Mapping)):
        return value
    if depth == _MAX_DEPTH:
        return _as_text(value)
    if isinstance(value, (dict, Mapping)):
        carried = {_key(key): carriable(item, depth + 1) for key, item in value.items()}
        # Two keys may come out alike: the later one counts, as for all readers of JSON.
        return value if _is_same(carried, value) else carried
    items = [carriable(item, depth + 1) for item in value]
    return value if all(map(is_, items, value)) else items


def _key(key: Any) -> Any:
    # A key that is not text is refused where rows are read.
    return carriable_text(key) if isinstance(key, str) else key


def _is_same(carried: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    same_keys = len(carried) == len(value) and all(map(is_, carried, value))
    return same_keys and all(map(is_, carried.values(), value.values()))


def read_json(body: bytes) -> Any:
    """JSON as carriable values, whatever the size of its numbers.

    :raises ValueError: it is not JSON, or nested too deep to be read.
    """
    return carriable(loads(body))


def loads(body: bytes) -> Any:
    """JSON as it came, but for integers of more digits than Python takes, which are texts.

    What is nearly JSON is read, too, and told once a process: texts that are not in Unicode or hold control
    characters, and an object or a list with more behind it.

    :raises ValueError: it is not JSON, or nested too deep to be read.
    """
    try:
        try:
            return json.loads(body)
        except ValueError:
            value = _tolerant.decode(_text(body))
    except RecursionError as problem:
        raise ValueError(str(problem)) from None
    _tell_once()
    return value


def integer(digits: str) -> int | str:
    """Return an integer of JSON; of more digits than Python takes, as text."""
    return int(digits) if len(digits) <= _MAX_TEXT else digits


class _Tolerant(json.JSONDecoder):
    def __init__(self) -> None:
        # Python refuses integers of more than 4,300 digits.
        super().__init__(strict=False, parse_int=integer)

    def decode(self, s: str, *_: Any) -> Any:
        s = s.strip()
        value, end = self.raw_decode(s)
        if end < len(s) and not isinstance(value, (dict, list)):
            raise json.JSONDecodeError("Extra data", s, end)
        return value


_tolerant = _Tolerant()


def _text(body: bytes) -> str:
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        # As browsers take what claims to be Latin-1.
        return body.decode("cp1252", "replace")


@cache
def _tell_once() -> None:
    log.warning("BitScale's answer is not quite JSON, and is read all the same")


def _as_text(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        text = "…"
    return text[:_MAX_TEXT]

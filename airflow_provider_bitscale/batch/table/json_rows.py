"""Rows of JSON: an object a line, an array of them, or objects over several lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from airflow_provider_bitscale.api.carriable import integer
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table.raw_rows import (
    Record,
    Unreadable,
    fields_of,
    is_not_utf_8,
    not_utf_8,
)


def json_records(lines: Iterator[str], *, may_be_array: bool) -> Iterator[Record]:
    """All rows; those of an array have the places ``row 1`` and so on.

    :param may_be_array: whether it may be an array, or objects over several lines. These are held in memory.
    :raises Unreadable: it is an array, or an object over several lines, and is broken or may be none.
    """
    first = True
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        if may_be_array and (line.lstrip().startswith("[") or not _is_json(line)):
            for row_number, row in enumerate(_all_values(line + "".join(lines)), 1):
                yield f"row {row_number}", fields_of(row)
            return
        if first and line.lstrip("\ufeff ").startswith("[") and not _is_json(line):
            raise Unreadable("it is an array of JSON over several lines: let its name end with .json")
        may_be_array = first = False
        value = _value(line)
        yield (
            f"line {number}",
            InvalidRequestError(_NO_OBJECT) if isinstance(value, list) else fields_of(value),
        )


def _all_values(text: str) -> list[Any]:
    """Return the items of an array; or one value after the other."""
    if is_not_utf_8(text):
        raise Unreadable(not_utf_8(text))
    values: list[Any] = []
    try:
        position = _past_spaces(text, 0)
        while position < len(text):
            value, position = _DECODER.raw_decode(text, position)
            values.append(value)
            position = _past_spaces(text, position)
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, character {problem.colno}"
        raise Unreadable(f"it is not JSON: {problem.msg} at {where}{_notation(problem)}") from None
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"it is not JSON: {problem}") from None
    return values[0] if len(values) == 1 and isinstance(values[0], list) else values


def _past_spaces(text: str, position: int) -> int:
    # A slice would copy the rest of the text for each object.
    spaces = _SPACES.match(text, position)
    return position if spaces is None else spaces.end()


def _value(line: str) -> Any:
    if is_not_utf_8(line):
        return InvalidRequestError(not_utf_8(line))
    if line.strip() == "\x1a":
        return InvalidRequestError("it is Ctrl-Z, which old programs write at the end of a file: remove it")
    if line.startswith("\ufeff"):
        return InvalidRequestError("it begins with a byte order mark, as where files are joined: remove it")
    try:
        return _DECODER.decode(line)
    except json.JSONDecodeError as problem:
        return InvalidRequestError(
            f"it is not JSON: {problem.msg} at character {problem.pos + 1}{_hint(problem)}"
        )
    except (ValueError, RecursionError) as problem:
        return InvalidRequestError(f"it is not JSON: {problem}")


def _hint(problem: json.JSONDecodeError) -> str:
    if problem.msg == "Extra data" and problem.doc[problem.pos :].lstrip(", ").startswith("{"):
        return "; write each object on a line of its own"
    if problem.msg == "Extra data" and problem.doc[problem.pos :].strip() == ",":
        return "; take away the comma at the end of the line"
    if notation := _notation(problem):
        return notation
    if problem.pos >= len(problem.doc.rstrip()):
        return "; an object has to stand on one line, as jq -c writes it"
    return ""


def _notation(problem: json.JSONDecodeError) -> str:
    """Return what it is written in, if that is like JSON, or is CSV."""
    rest = problem.doc[problem.pos :].lstrip()
    if rest.startswith(("//", "/*", "#")):
        return "; JSON has no comments: remove them"
    if rest.startswith(("'", "None", "True", "False")):
        return "; it is a dict as Python prints it: write it with json.dumps"
    # Python 3.13 points to the comma, those before to what is after it.
    if _LAST_COMMA.match(problem.doc, max(problem.doc.rfind(",", 0, problem.pos + 1), 0)):
        return "; JSON has no comma after the last item: remove it"
    if _CSV.match(problem.doc):
        return "; if it is CSV, let its name end with .csv"
    return ""


def _is_json(line: str) -> bool:
    # Bytes that are not UTF-8 are reported with their line.
    return is_not_utf_8(line) or not isinstance(_value(line), InvalidRequestError)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {repeated!r} more than once")
    return found


_NO_OBJECT = "it must be an object of fields, not list; an array is read from a .json file"
_LAST_COMMA = re.compile(r",\s*[\]}]")
_CSV = re.compile("\ufeff?[^\\[{\r\n][^\r\n]*[,;\t|]")
_SPACES = re.compile(r"\s*")
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=integer)

"""Pure: rows that are no data: the header again, a line of dashes, marks that joining files leaves."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.blank import is_blank
from airflow_provider_bitscale.runs.field_names import folded

BY_COLUMNS = (
    "a table by columns: give an object for each row, as pandas writes with "
    "to_json(path, orient='records') and to_dict('records')"
)
# A longer text is no name.
_MAX_NAME = 100
_TOTAL = re.compile(
    r"((grand[ -]|sub[ -]?)?totals?|total g[eé]n[eé]ral|sum|(gesamt)?summe|(ins)?gesamt|suma|totale?)\s*:?"
    r"|(total|count)\W+[\d.,]+"
    r"|\(?[\d.,]+ (rows?|records?|results?|entries|zeilen?)( affected| selected| in set.*)?\W*",
    re.IGNORECASE,
)
_IN_SINGLE_QUOTES = re.compile("\\s*'.*'\\s*", re.DOTALL)
_QUOTED = re.compile(r'\s+".*"\s*', re.DOTALL)
_DIVIDER = re.compile(r"[-=+:|\s]+")


def oddity(
    fields: Mapping[str, Any], read: Sequence[tuple[str, str]], input_names: Collection[str]
) -> str | None:
    """What is wrong with a row that is no data, and what to do; None for all others.

    :param fields: of the row, as they came.
    :param read: (name of an input, field) for each field that is an input.
    :param input_names: the names of all inputs, folded.
    """
    if is_by_columns(fields):
        return f"it is {BY_COLUMNS}"
    if is_divider(fields.values()):
        return "it is a line of dashes, as below a header: remove it"
    if _is_header(fields, read, input_names):
        return "it repeats the header, as of a file that is joined: remove it"
    texts = {field: value for _, field in read if isinstance(value := fields.get(field), str) and value}
    if len(texts) > 1 and all(map(_IN_SINGLE_QUOTES.fullmatch, texts.values())):
        return "its texts are in single quotes, which would be sent with them: write double ones"
    for field, value in texts.items():
        if (value[0].isalnum() and value[-1].isalnum()) or is_blank(value):
            continue
        if value.startswith("\ufeff"):
            return f"{field!r} begins with a byte order mark, as where files are joined: remove it"
        if value.endswith("\x1a"):
            return f"{field!r} ends with Ctrl-Z, which old programs write at the end of a file: remove it"
        if value[0].isspace() and _QUOTED.fullmatch(value):
            return f"{field!r} has a blank before its quotes, which are part of it so: remove the blank"
    return None


def is_total(fields: Mapping[str, Any]) -> bool:
    """Whether the first text of a row is what stands below a table: a total, or how many rows it has."""
    text = next((value for value in fields.values() if not is_blank(value)), None)
    return isinstance(text, str) and _TOTAL.fullmatch(text.strip()) is not None


def is_divider(cells: Iterable[Any]) -> bool:
    """Whether all that is in these cells is lines: dashes and the signs that programs draw tables with."""
    found = False
    for cell in cells:
        if isinstance(cell, str) and cell[:1].isalnum():
            return False
        if is_blank(cell):
            continue
        if not isinstance(cell, str) or _DIVIDER.fullmatch(cell) is None:
            return False
        found = True
    return found


def is_by_columns(fields: Mapping[str, Any]) -> bool:
    """Whether an object is a whole table, each of its fields a column of it."""
    if "columns" in fields and "data" in fields:
        return isinstance(fields["columns"], list) and isinstance(fields["data"], list)
    values = list(fields.values())
    if not values or not isinstance(values[0], (list, dict)):
        return False
    if all(isinstance(value, list) and value for value in values):
        return len(set(map(len, values))) == 1
    indexes = [value.keys() for value in values if isinstance(value, dict) and value]
    return len(indexes) == len(values) and all(index == indexes[0] for index in indexes)


def _is_header(
    fields: Mapping[str, Any], read: Sequence[tuple[str, str]], input_names: Collection[str]
) -> bool:
    """Whether all values of inputs are names, in whatever order and spelling.

    One value alone has to be the name of its own field or input: there are companies with any name.
    """
    own = False
    texts = set()
    for name, field in read:
        value = fields.get(field)
        if is_blank(value):
            continue
        if not isinstance(value, str) or len(value) > _MAX_NAME:
            return False
        # Without the memory that folded() has, which is for names.
        text = folded.__wrapped__(value)
        if text not in input_names and text not in map(folded, fields):
            return False
        own = own or text in (folded(name), folded(field))
        texts.add(text)
    return own or (len(texts) > 1 and not texts.isdisjoint(input_names))

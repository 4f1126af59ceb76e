"""Rows of CSV, each with its line; what is wrong with one is told with its cell."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from airflow_provider_bitscale.api.blank import is_blank
from airflow_provider_bitscale.api.carriable import carriable_text
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.odd_rows import is_divider
from airflow_provider_bitscale.batch.table_format import TableFormat
from airflow_provider_bitscale.batch.table_text import Record, Unreadable, is_not_utf_8, not_utf_8

# Python's own limit is 131,072 characters. Answers may be longer, and what was written is to be read again.
csv.field_size_limit(2**31 - 1)

# Rows after the header that tell whether it is one.
_ROWS_LOOKED_AT = 20


def csv_table(
    lines: Iterator[str], format: TableFormat, tell: Callable[[str], None]
) -> tuple[list[str], Iterator[Record]]:
    """The names of the fields, and all rows after the header.

    :param tell: called with what is told of the header, but is no error.
    :raises Unreadable: the header cannot be used.
    """
    for _ in range(1, format.first_line):
        next(lines, None)
    reader = csv.reader(lines, strict=True, delimiter=format.separator)
    header = _names(_header(reader, format.first_line), format.first_line, tell)
    rows = _rows(reader, format.first_line)
    first = list(islice(rows, _ROWS_LOOKED_AT))
    _refuse_a_preamble(header, first, format.first_line)
    return header, (
        (place, _fields(header, cells) if isinstance(cells, list) else cells)
        for place, cells in chain(first, rows)
    )


def _rows(
    reader: Iterator[list[str]], first_line: int
) -> Iterator[tuple[str, list[str] | InvalidRequestError]]:
    while True:
        place = f"line {reader.line_num + first_line}"  # type: ignore[attr-defined]
        try:
            cells = next(reader, None)
        except csv.Error as problem:
            yield place, InvalidRequestError(f"it is not CSV: {problem}")
            continue
        if cells is None:
            return
        if cells and not (len(cells) == 1 and cells[0].isspace()):
            yield place, cells


def _fields(header: Sequence[str], cells: list[str]) -> dict[str, str] | InvalidRequestError:
    if len(cells) > 1 and all(map(is_blank, cells)):
        return InvalidRequestError("the row is empty: remove it")
    if len(cells) != len(header):
        return InvalidRequestError(_ragged(header, cells))
    if any(map(is_not_utf_8, cells)):
        return InvalidRequestError(not_utf_8("".join(cells)))
    return dict(zip(header, map(carriable_text, cells), strict=True))


def _ragged(header: Sequence[str], cells: Sequence[str]) -> str:
    if cells == ["\x1a"]:
        return "it is Ctrl-Z, which old programs write at the end of a file: remove it"
    if is_divider(cells):
        return "it is a line of dashes, as below a header: remove it"
    has, wanted = len(cells), len(header)
    told = f"it has {_cells(has)}, the header has {wanted}: "
    if has < wanted:
        footer = "; if it is a note or a footer, remove it" if has == 1 else ""
        return f"{told}cell {has + 1}, {header[has]!r}, is missing{footer}"
    if all(map(is_blank, cells[wanted:])):
        return f"{told}cell {wanted + 1} is empty; remove the separator at the end of the line"
    return f"{told}cell {wanted + 1} is too many; a text with a separator in it needs quotes"


def _header(reader: Iterator[list[str]], line: int) -> list[str]:
    try:
        header = next(reader, None)
    except csv.Error as problem:
        raise Unreadable(f"line {line}, the header: it is not CSV: {problem}") from None
    if header is None:
        return []
    if not header:
        raise Unreadable(f"line {line}, the header: it is empty; remove what is above the real one")
    if any(map(is_not_utf_8, header)):
        raise Unreadable(f"line {line}, the header: {not_utf_8(''.join(header))}")
    return list(map(carriable_text, header))


def _names(header: Sequence[str], line: int, tell: Callable[[str], None]) -> list[str]:
    """The names of the fields of all rows."""
    names = list(header)
    nameless = [number for number, name in enumerate(header, 1) if is_blank(name)]
    if header and len(nameless) == len(header):
        raise Unreadable(f"line {line}, the header: it is empty; remove what is above the real one")
    for number in nameless:
        names[number - 1] = f"column {number}"
        tell(f"line {line}, the header: cell {number} is empty; its field is called {names[number - 1]!r}")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        more = ", ".join(f"it has {name!r} more than once" for name in repeated)
        raise Unreadable(f"line {line}, the header: {more}")
    return names


def _refuse_a_preamble(
    header: Sequence[str], rows: Sequence[tuple[str, list[str] | InvalidRequestError]], line: int
) -> None:
    """Notes above the header have fewer cells than the table below them."""
    tables = [(place, cells) for place, cells in rows if isinstance(cells, list)]
    if not tables:
        return
    [(usual, count)] = Counter(len(cells) for _, cells in tables).most_common(1)
    first, cells = next((place, cells) for place, cells in tables if len(cells) == usual)
    if usual > len(header) and 2 * count > len(tables) and not all(map(is_blank, cells[len(header) :])):
        raise Unreadable(
            f"line {line}, the header, has {_cells(len(header))}, and most lines have {usual}, the first of "
            f"them {first}: if that is the header, remove the lines above it"
        )


def _cells(number: int) -> str:
    return f"{number} cell{'s' if number > 1 else ''}"

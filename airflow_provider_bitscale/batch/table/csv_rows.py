"""CSV: reads rows with their lines, names the cell where a row is wrong, and writes rows."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.blank import is_blank, trimmed
from airflow_provider_bitscale.api.carriable import carriable_text
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table import raw_rows
from airflow_provider_bitscale.batch.table.coercion import is_number
from airflow_provider_bitscale.batch.table.data_quality import is_divider
from airflow_provider_bitscale.batch.table.file_format import TableFormat

# Python's own limit is 131,072 characters. Answers may be longer, and what was written is to be read again.
csv.field_size_limit(2**31 - 1)


def csv_table(
    lines: Iterator[str], format: TableFormat, warn: Callable[[str], None]
) -> tuple[list[str], Iterator[raw_rows.Record]]:
    """Return the names of the fields, and all rows after the header.

    :param warn: called with each remark on the header that is not an error.
    :raises Unreadable: the header cannot be used.
    """
    for _ in range(1, format.first_line):
        next(lines, None)
    reader = csv.reader(lines, strict=True, delimiter=format.separator)
    header = _names(_header(reader, format.first_line), format.first_line, warn)
    rows = _rows(reader, format.first_line)
    return header, (
        (place, _fields(header, cells) if isinstance(cells, list) else cells) for place, cells in rows
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
        return _ragged(header, cells)
    if any(map(raw_rows.is_not_utf_8, cells)):
        return InvalidRequestError(raw_rows.not_utf_8("".join(cells)))
    return dict(zip(header, map(carriable_text, cells), strict=True))


def _ragged(header: Sequence[str], cells: Sequence[str]) -> InvalidRequestError:
    if cells == ["\x1a"]:
        return InvalidRequestError("it is Ctrl-Z, which old programs write at the end of a file: remove it")
    if is_divider(cells):
        return InvalidRequestError("it is a line of dashes, as below a header: remove it")
    has, wanted = len(cells), len(header)
    problem = f"it has {raw_rows.cell_count(has)}, the header has {wanted}: "
    if has < wanted:
        footer = "; if it is a note or a footer, remove it" if has == 1 else ""
        return raw_rows.Ragged(
            f"{problem}cell {has + 1}, {header[has]!r}, is missing{footer}", cells, is_longer=False
        )
    if all(map(is_blank, cells[wanted:])):
        problem += f"cell {wanted + 1} is empty; remove the separator at the end of the line"
        return raw_rows.Ragged(problem, cells, is_longer=False)
    return raw_rows.Ragged(
        f"{problem}cell {wanted + 1} is too many; {_why_longer(header, cells)}", cells, is_longer=True
    )


def _why_longer(header: Sequence[str], cells: Sequence[str]) -> str:
    texts = [cell.strip() for cell in cells]
    if any(
        cell[0].isspace() and text.startswith('"') for cell, text in zip(cells, texts, strict=True) if text
    ):
        return "remove the blanks before quotes"
    if any(text.startswith("'") for text in texts) and any(text.endswith("'") for text in texts):
        return "a text with a separator in it needs double quotes, not single ones"
    if len(cells) == len(header) + 1 and len(header) > 1 and texts[0].isdigit():
        return "if the first column has no name, as R writes the names of rows, leave it out or give it one"
    return "a text with a separator in it needs quotes"


def _header(reader: Iterator[list[str]], line: int) -> list[str]:
    try:
        header = next(reader, None)
    except csv.Error as problem:
        raise raw_rows.Unreadable(
            f"line {line}, the header: it is not CSV: {problem}; cells are separated by a comma, a "
            "semicolon, a tab or |, and quotes within quotes are doubled"
        ) from None
    if header is None:
        return []
    if any(map(raw_rows.is_not_utf_8, header)):
        raise raw_rows.Unreadable(f"line {line}, the header: {raw_rows.not_utf_8(''.join(header))}")
    header = list(map(carriable_text, header))
    if all(map(is_blank, header)):
        raise raw_rows.Unreadable(f"line {line}, the header: it is empty; remove what is above the real one")
    return header


def _names(header: Sequence[str], line: int, warn: Callable[[str], None]) -> list[str]:
    names = list(header)
    nameless = [number for number, name in enumerate(header, 1) if is_blank(name)]
    for number in nameless:
        name = f"column {number}"
        while name in names:
            name = f"unnamed {name}"
        names[number - 1] = name
        warn(f"line {line}, the header: cell {number} is empty; its field is called {names[number - 1]!r}")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        more = ", ".join(f"it has {name!r} more than once" for name in repeated)
        raise raw_rows.Unreadable(f"line {line}, the header: {more}; rename or remove all but one")
    return names


def csv_text(rows: Sequence[Mapping[str, Any]], header: Sequence[str], *, escape_formulas: bool) -> str:
    """Rows under a header; what a row has beside it is left out.

    :param escape_formulas: put an apostrophe before what a spreadsheet would run.
    """
    cell = _escaped if escape_formulas else _cell
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(map(cell, header))
    writer.writerows([cell(row.get(name)) for name in header] for row in rows)
    return text.getvalue()


def unescaped(cell: str) -> str:
    """Return a cell as it was before its formula was escaped."""
    return cell[1:] if cell.startswith("'") and _is_escaped_as_formula(cell[1:]) else cell


def _escaped(value: Any) -> str:
    cell = _cell(value)
    return f"'{cell}" if _is_escaped_as_formula(cell) else cell


def _is_escaped_as_formula(cell: str) -> bool:
    # One that has apostrophes already gets one more, so that the way back is certain.
    text = cell.lstrip("'")
    return text.startswith(("\t", "\r")) or (
        trimmed(text).startswith(_BEGIN_FORMULAS) and not is_number(cell)
    )


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


# As OWASP lists what begins a formula. https://owasp.org/www-community/attacks/CSV_Injection
# Spreadsheets pass over what is blank before it, and take the full-width signs for the others.
_BEGIN_FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")

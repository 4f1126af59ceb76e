"""Pure: rows as the text of a CSV part, and back to what they were."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.blank import trimmed
from airflow_provider_bitscale.batch.table.cells import is_number


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
    """A cell as it was before its formula was escaped."""
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

"""Pure: what counts as no value, wherever that is asked: of inputs, of keys of rows, of outputs."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any

# What PostgreSQL writes for NULL, and spreadsheets for an error: nobody means these.
NULL_VALUES = (r"\N", "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!")


def is_blank(value: Any, null_values: Collection[str] = ()) -> bool:
    """Whether there is nothing in a value.

    That is None, a text of spaces and invisible characters (no-break and zero-width ones too), a list or an
    object without items. Zero and False are values.

    :param null_values: texts that stand for nothing, whatever spaces are around them.
    """
    if isinstance(value, str):
        text = value.strip()
        # Almost all values begin so, and this is asked twice for each.
        if text[:1].isalnum():
            return text in null_values
        return text in null_values or all(map(_is_invisible, text))
    return value is None or (isinstance(value, (list, tuple, dict)) and not value)


def _is_invisible(character: str) -> bool:
    # Separators, control and format characters.
    return unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf")

"""Pure: what counts as no value: in inputs, in the keys of rows, in outputs.

The package's words for it: a *blank* has nothing visible in it; a *null value* is a text that data writes for
NULL (``NULL_VALUES``, ``null_values``); a *miss value* is an output that says that nothing was found
(``miss_values``); *undefined* is what a template renders for a value that is not there
(:mod:`airflow_provider_bitscale.runs.undefined`); a *possible null* is a word in the rows of a batch that may
mean NULL or itself: it is sent, with a warning (:mod:`airflow_provider_bitscale.batch.table.data_quality`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any

# What PostgreSQL writes for NULL, and spreadsheets for an error: never meant as a value.
NULL_VALUES = (r"\N", "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!")


def is_blank(value: Any, null_values: Collection[str] = ()) -> bool:
    """Whether a value is blank: None, an empty list or object, or a text of invisible characters only.

    Spaces count as invisible, no-break and zero-width ones, too. Zero and False are not blank.

    :param null_values: texts that count as blank, with any spaces around them.
    """
    if isinstance(value, str):
        text = trimmed(value)
        return not text or text in null_values
    return value is None or (isinstance(value, (list, tuple, dict)) and not value)


def trimmed(text: str) -> str:
    """Return a text without the spaces and invisible characters around it."""
    text = text.strip()
    # Almost all texts begin and end so, and this is asked twice for each.
    if text[:1].isalnum() and text[-1:].isalnum():
        return text
    first, last = 0, len(text)
    while first < last and is_invisible(text[first]):
        first += 1
    while last > first and is_invisible(text[last - 1]):
        last -= 1
    return text[first:last]


def is_invisible(character: str) -> bool:
    """Whether it is a separator, a control or a format character."""
    return unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf")

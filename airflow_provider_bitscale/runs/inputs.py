"""Pure: from column names to the keys of a request, and what speaks against a row before it is paid for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.api.fields import parse_time
from airflow_provider_bitscale.api.models import Column, ColumnType, Grid, RunRecipe


def resolve_inputs(
    grid: Grid, inputs: Mapping[str, Any], recipe: RunRecipe | None = None, *, validate: bool = True
) -> dict[str, Any]:
    """Values by the key that a run takes: the column's id or, where there is a recipe, its label there.

    Optional inputs that are None are left out.

    :param inputs: values by column name, id or label.
    :param recipe: of the run. What it does not list is refused: it might be billed as a blank row.
    :param validate: also check that every column is known and an input, that no required one is missing, and
        that every value fits its column's type. Without it, unknown keys are taken for ids.
    :raises InvalidRequestError: naming every problem at once.
    """
    if recipe is not None:
        return _resolve_labels(grid, inputs, recipe.inputs)
    problems: list[str] = []
    resolved: dict[str, Any] = {}
    columns = {column.id: column for column in grid.columns}
    for key, value in inputs.items():
        column_id = _column_id(grid, key, problems, strict=validate)
        if column_id is None:
            continue
        if column_id in resolved:
            problems.append(f"column {key!r} is given twice, by name and by id")
        resolved[column_id] = value
        if validate and column_id in columns:
            problems += _value_problems(columns[column_id], key, value)
    if validate:
        problems += [
            f"the required input {column.name!r} is missing"
            for column in grid.columns
            if column.is_input and column.required and resolved.get(column.id) in (None, "")
        ]
    _raise_if_any(problems, grid)
    return {key: value for key, value in resolved.items() if value is not None}


def resolve_output_columns(
    grid: Grid, names: Sequence[str] | None, *, validate: bool = True
) -> list[str] | None:
    """Column ids of the outputs wanted, or None for all.

    :raises InvalidRequestError: naming every column that is unknown or not unique.
    """
    if names is None:
        return None
    problems: list[str] = []
    ids = [_column_id(grid, name, problems, strict=validate) for name in names]
    _raise_if_any(problems, grid)
    return [column_id for column_id in ids if column_id is not None]


def input_columns(grid: Grid) -> list[str]:
    """Ids of the columns that a run takes, and may echo, as far as the grid tells."""
    return [column.id for column in grid.columns if column.is_input]


def unique_names(grid: Grid) -> dict[str, str]:
    """Column names by id, for those columns whose name no other column has."""
    names = [column.name for column in grid.columns]
    return {column.id: column.name for column in grid.columns if names.count(column.name) == 1}


def _resolve_labels(grid: Grid, inputs: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    problems: list[str] = []
    resolved: dict[str, Any] = {}
    for key, value in inputs.items():
        label = _label(grid, labels, key, problems)
        if label in resolved:
            problems.append(f"input {label!r} is given twice, the second time as {key!r}")
        if label is not None:
            resolved[label] = value
    _raise_if_any(problems, grid)
    return {label: value for label, value in resolved.items() if value is not None}


def _label(grid: Grid, labels: Sequence[str], key: str, problems: list[str]) -> str | None:
    """The one label that a key can only mean, be it the label itself, or the name or id of a column."""
    if key in labels:
        return key
    name = next((column.name for column in grid.columns if column.id == key), key)
    columns = [column for column in grid.columns if _folded(column.name) == _folded(name)]
    matches = [label for label in labels if _folded(label) == _folded(name)]
    if len(matches) == 1 and len(columns) <= 1:
        return matches[0]
    if matches:
        problems.append(f"{key!r} may mean more than one input; use a label: {', '.join(labels)}")
    else:
        problems.append(f"the run takes no input {key!r}{_suggestion(name, labels, 'it takes')}")
    return None


def _folded(name: str) -> str:
    """A name as a label may spell it: ``Company Name`` and ``company_name`` alike."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def _column_id(grid: Grid, key: str, problems: list[str], *, strict: bool) -> str | None:
    if any(column.id == key for column in grid.columns):
        return key
    matches = [column.id for column in grid.columns if column.name == key]
    if len(matches) == 1:
        return matches[0]
    if matches:
        problems.append(f"{len(matches)} columns are named {key!r}; use an id: {', '.join(matches)}")
    elif strict:
        known = sorted({column.name for column in grid.columns})
        problems.append(f"there is no column {key!r}{_suggestion(key, known, 'the grid has')}")
    else:
        return key
    return None


def _suggestion(key: str, known: Iterable[str], introduction: str) -> str:
    names = {name.casefold(): name for name in known}
    near = [names[match] for match in get_close_matches(key.casefold(), names, n=3, cutoff=0.5)]
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; {introduction} {', '.join(map(repr, names.values()))}" if names else ""


def _value_problems(column: Column, key: str, value: Any) -> list[str]:
    if not column.is_input:
        return [f"column {key!r} takes no input"]
    if value is None or _fits(column.type, value):
        return []
    return [f"column {key!r} takes {_EXPECTED[column.type]}, not {value!r}"]


_EXPECTED = {
    ColumnType.TEXT: "text",
    ColumnType.NUMBER: "a number",
    ColumnType.URL: "an http(s) URL",
    ColumnType.EMAIL: "an email address",
    ColumnType.DATE: "an ISO 8601 date",
    ColumnType.BOOLEAN: "true or false",
}


def _fits(kind: ColumnType, value: Any) -> bool:
    if kind is ColumnType.NUMBER:
        if isinstance(value, float):
            return math.isfinite(value)
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is ColumnType.BOOLEAN:
        return isinstance(value, bool)
    if kind not in _EXPECTED:
        return True
    if not isinstance(value, str):
        return False
    if value == "" or kind is ColumnType.TEXT:
        # An empty optional input is as good as none; an empty required one is reported as missing.
        return True
    return {ColumnType.URL: _is_url, ColumnType.EMAIL: _is_email, ColumnType.DATE: _is_date}[kind](value)


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and not any(map(str.isspace, text))
    except ValueError:
        return False


def _is_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain) and "@" not in local and not any(map(str.isspace, text))


def _is_date(text: str) -> bool:
    return parse_time(text) is not None


def _raise_if_any(problems: list[str], grid: Grid) -> None:
    if problems:
        raise InvalidRequestError(f"grid {grid.name or grid.id!r}: {'; '.join(problems)}")

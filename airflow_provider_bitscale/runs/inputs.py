"""Pure: maps column names to the keys of a request, and checks a row before it is paid for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.api.blank import NULL_VALUES, is_blank
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.api.models import Column, Grid, RunRecipe
from airflow_provider_bitscale.runs.column_values import misfit
from airflow_provider_bitscale.runs.field_names import folded, suggestion


@dataclass(frozen=True)
class InputNames:
    """What the names of a row's values mean: resolved once, for any number of rows with these names.

    :param keys: by name, the key that a run takes.
    :param columns: by name, the input column whose type the grid has; a recipe's labels have none.
    :param required: columns that a row must have a value for.
    :param validate: whether to check values against the types of their columns.
    :param problems: what is wrong with the names.
    """

    keys: Mapping[str, str]
    columns: Mapping[str, Column]
    required: Sequence[Column]
    validate: bool
    problems: Sequence[str]

    @classmethod
    def resolve(
        cls, grid: Grid, names: Iterable[str], recipe: RunRecipe | None = None, *, validate: bool = True
    ) -> InputNames:
        """Parameters as of :func:`resolve_inputs`."""
        if recipe is not None:
            return cls._of_labels(grid, names, recipe.inputs)
        problems: list[str] = []
        keys: dict[str, str] = {}
        columns: dict[str, Column] = {}
        by_id = {column.id: column for column in grid.columns}
        for name in names:
            column_id = _column_id(grid, name, problems, strict=validate)
            if column_id is None:
                continue
            problems += _given_before(keys, column_id, name)
            keys[name] = column_id
            column = by_id.get(column_id)
            if column is not None and column.is_input:
                columns[name] = column
            elif column is not None and validate:
                problems.append(f"column {name!r} takes no input")
        required = [column for column in grid.columns if validate and column.is_input and column.required]
        return cls(keys, columns, required, validate, problems)

    @classmethod
    def _of_labels(cls, grid: Grid, names: Iterable[str], labels: Sequence[str]) -> InputNames:
        problems: list[str] = []
        keys: dict[str, str] = {}
        for name in names:
            label = _label(grid, labels, name, problems)
            if label is not None:
                problems += _given_before(keys, label, name)
                keys[name] = label
        return cls(keys, {}, (), False, problems)

    def fill_in(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return a row's values by the key that a run takes, and every error in names and values."""
        problems = list(self.problems)
        inputs: dict[str, Any] = {}
        for name, key in self.keys.items():
            value = values[name]
            if is_blank(value):
                continue
            inputs[key] = value
            column = self.columns.get(name)
            if self.validate and column is not None and (problem := misfit(column.type, value)):
                problems.append(f"column {name!r} {problem}")
        for column in self.required:
            if column.id not in inputs:
                problems.append(f"the required input {column.name!r} is missing")
        return inputs, problems


def resolve_inputs(
    grid: Grid, inputs: Mapping[str, Any], recipe: RunRecipe | None = None, *, validate: bool = True
) -> dict[str, Any]:
    """Values by the key that a run takes: the column's id or, where there is a recipe, its label there.

    Optional inputs that are blank are left out: see :func:`is_blank`. So are ``NULL_VALUES``, unless
    nothing is to be validated.

    :param inputs: values by column name, id or label; names in whatever case, with whatever spaces.
    :param recipe: of the run. What it does not list is refused: it might be billed as a blank row.
    :param validate: also check that every column is known and an input, that no required one is missing, and
        that every value fits its column's type. Without it, unknown keys are taken for ids.
    :raises InvalidRequestError: naming every problem at once.
    """
    null_values = NULL_VALUES if validate else ()
    values = {name: None if is_blank(value, null_values) else value for name, value in inputs.items()}
    resolved, problems = InputNames.resolve(grid, values, recipe, validate=validate).fill_in(values)
    if problems and (nulls := [inputs[name] for name in inputs if values[name] is not inputs[name]]):
        problems.append(f"{', '.join(map(repr, nulls))} means no value")
    _raise_if_any(problems, grid)
    return resolved


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
    """Ids of the columns that a run takes, and may echo, as far as the grid says."""
    return [column.id for column in grid.columns if column.is_input]


def unique_names(grid: Grid) -> dict[str, str]:
    """Column names by id, for those columns whose name no other column has."""
    names = [column.name for column in grid.columns]
    return {column.id: column.name for column in grid.columns if names.count(column.name) == 1}


def _given_before(keys: Mapping[str, str], key: str, name: str) -> list[str]:
    return [f"an input is given twice: as {each!r} and as {name!r}" for each in keys if keys[each] == key]


def _label(grid: Grid, labels: Sequence[str], key: str, problems: list[str]) -> str | None:
    """Return the one label that a key means: the label itself, or a column's name or id."""
    if key in labels:
        return key
    name = _column_name(grid, key)
    columns = [column for column in grid.columns if folded(column.name) == folded(name)]
    matches = matching_labels(grid, labels, key)
    if len(matches) == 1 and len(columns) <= 1:
        return matches[0]
    if matches:
        problems.append(f"{key!r} may mean more than one input; use a label: {', '.join(labels)}")
    else:
        problems.append(f"the run takes no input {key!r}{suggestion(name, labels, 'it takes')}")
    return None


def matching_labels(grid: Grid, labels: Sequence[str], key: str) -> list[str]:
    """Return the labels that a key may mean."""
    name = folded(_column_name(grid, key))
    return [label for label in labels if label == key or folded(label) == name]


def _column_name(grid: Grid, key: str) -> str:
    return next((column.name for column in grid.columns if column.id == key), key)


def _column_id(grid: Grid, key: str, problems: list[str], *, strict: bool) -> str | None:
    if any(column.id == key for column in grid.columns):
        return key
    named = [column for column in grid.columns if column.name == key]
    near = named or [column for column in grid.columns if folded(column.name) == folded(key)]
    matches = [column.id for column in near]
    if len(matches) == 1:
        return matches[0]
    if matches:
        how = "named" if named else "named like"
        problems.append(f"{len(matches)} columns are {how} {key!r}; use an id: {', '.join(matches)}")
    elif strict:
        known = sorted({column.name for column in grid.columns})
        problems.append(f"there is no column {key!r}{suggestion(key, known, 'the grid has')}")
    else:
        return key
    return None


def _raise_if_any(problems: list[str], grid: Grid) -> None:
    if problems:
        raise InvalidRequestError(f"grid {grid.name or grid.id!r}: {'; '.join(problems)}")

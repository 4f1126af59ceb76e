"""Pure: the outputs of many runs of one grid, under the same names in every row."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.runs.grid_schema import GridSchema
from airflow_provider_bitscale.runs.inputs import input_columns, unique_names
from airflow_provider_bitscale.runs.result import found_values


def outputs_reader(schema: GridSchema, miss_values: Collection[str]) -> Callable[[Run], dict[str, Any]]:
    """Return what makes a completed run's outputs of it, by name, without the columns that echo inputs."""
    names = unique_names(schema.grid)
    inputs = frozenset(input_columns(schema.grid))

    def outputs_of(run: Run) -> dict[str, Any]:
        values = found_values(run, miss_values, names, inputs)
        return {names.get(key, key): value for key, value in values.items() if key not in inputs}

    return outputs_of


def output_names(schema: GridSchema) -> list[str]:
    """Return the names of all outputs that a run may have."""
    grid, recipe = schema.grid, schema.recipe
    columns = {column.id: column.name for column in (recipe.output_columns if recipe else grid.columns)}
    inputs = input_columns(grid)
    wanted = schema.output_columns or [each for each in columns if each not in inputs]
    names = {**columns, **unique_names(grid)}
    return [names.get(column_id, column_id) for column_id in wanted]

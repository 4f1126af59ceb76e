"""What a grid takes and gives, learned once for any number of rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.blank import is_blank
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.api.models import Grid, RunRecipe
from airflow_provider_bitscale.runs.field_names import folded
from airflow_provider_bitscale.runs.grid_cache import GridForm
from airflow_provider_bitscale.runs.inputs import (
    InputNames,
    matching_labels,
    resolve_inputs,
    resolve_output_columns,
)
from airflow_provider_bitscale.runs.undefined import inputs_without_value

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.client import Client


@dataclass(frozen=True)
class GridSchema:
    """What a run of a grid takes and gives, against which a row is checked before it is paid for.

    :param recipe: what names the inputs, where column ids do not.
    :param output_columns: ids of the columns wanted; None for all.
    :param validate: whether to check values against the grid's columns, see :func:`resolve_inputs`.
    :param is_cached: whether it is what processes share: what it refuses may be right meanwhile.
    """

    grid: Grid
    recipe: RunRecipe | None
    output_columns: list[str] | None
    validate: bool
    is_cached: bool = field(default=False, compare=False)

    @classmethod
    def fetch(
        cls,
        client: Client,
        grid_id: str,
        output_columns: Sequence[str] | None,
        *,
        validate: bool,
        anew: bool = False,
    ) -> GridSchema:
        """Take it from what processes share, or ask BitScale. Costs no credits.

        :param output_columns: names or ids of the columns wanted; None for all.
        :param anew: whether to ask BitScale in any case.
        :raises InvalidRequestError: naming every column that is unknown or not unique.
        """
        form = GridForm.fetch(client, grid_id, anew=anew)
        try:
            wanted = resolve_output_columns(form.grid, output_columns, validate=validate)
        except InvalidRequestError:
            if not form.is_cached:
                raise
            return cls.fetch(client, grid_id, output_columns, validate=validate, anew=True)
        return cls(form.grid, form.recipe, wanted, validate, form.is_cached)

    def inputs_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row, by the keys that a run takes.

        :param row: values by column name or id.
        :raises InvalidRequestError: naming every problem at once.
        """
        return resolve_inputs(self.grid, row, self.recipe, validate=self.validate)

    @property
    def required(self) -> set[str]:
        """Names and ids of the inputs that the grid requires, as far as it says."""
        columns = [column for column in self.grid.columns if column.is_input and column.required]
        return {column.id for column in columns} | {column.name for column in columns}

    def names(self, names: Iterable[str]) -> InputNames:
        """Resolve the names of many rows' values: the same as :meth:`inputs_of`, in two steps."""
        return InputNames.resolve(self.grid, names, self.recipe, validate=self.validate)

    def may_be_input(self, name: str) -> bool:
        """Whether a name means an input of the run, be it one of several."""
        if self.recipe is not None:
            return bool(matching_labels(self.grid, self.recipe.inputs, name))
        inputs = (column for column in self.grid.columns if column.is_input)
        return any(name == column.id or folded(name) == folded(column.name) for column in inputs)

    @property
    def input_names(self) -> dict[str, str]:
        """The names of all inputs, by the key that a run takes."""
        if self.recipe is not None:
            return {label: label for label in self.recipe.inputs}
        return {column.id: column.name for column in self.grid.columns if column.is_input}

    def without_value(
        self, row: Mapping[str, Any], templates: Collection[str], inputs: Mapping[str, Any]
    ) -> tuple[list[str], list[str]]:
        """Return what to refuse and what to tell of a row's values that are none, one sentence each.

        :param row: values by column name or id.
        :param templates: names of those that were templates.
        :param inputs: what :meth:`inputs_of` makes of the row.
        """
        may_be_none = not self.input_names and not inputs
        return inputs_without_value(row, templates, self.required, may_be_none=may_be_none)

    def unfilled(self, inputs: Mapping[str, Any]) -> list[str]:
        """Return the inputs of the recipe that have no value; whether they are required is not known."""
        labels = () if self.recipe is None else self.recipe.inputs
        return [label for label in labels if is_blank(inputs.get(label))]

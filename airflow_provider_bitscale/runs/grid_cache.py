"""The form of grids, which processes share for a while, so that not each of them asks for it.

The form is what a run takes and gives: names, ids and types of columns, and the labels of the run recipe.
What is shared is a hint: where it refuses something, whoever reads it asks anew before that counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api import fields, parsing
from airflow_provider_bitscale.api.models import Column, Grid, RunRecipe

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.async_client import AsyncClient
    from airflow_provider_bitscale.api.client import Client

_KIND = "grid"
# Who asks for a form while others wait for it.
_ASKING = "grid_asking"
# After that, whoever asks is taken to be gone, and another one asks.
ASKING_SECONDS = 10.0
# For how long the answer is waited for.
PATIENCE_SECONDS = 3 * ASKING_SECONDS
_LOOK_SECONDS = 0.1
# By how much clocks of two machines may differ.
_CLOCK_TOLERANCE = 60.0


@dataclass(frozen=True)
class GridForm:
    """What a run of a grid takes and gives.

    :param recipe: None where the contract names inputs by column id.
    :param is_cached: whether it is what was shared, which may have changed meanwhile.
    """

    grid: Grid
    recipe: RunRecipe | None
    is_cached: bool = field(default=False, compare=False)

    @classmethod
    def fetch(cls, client: Client, grid_id: str, *, anew: bool = False) -> GridForm:
        """Return the form of a grid: as processes share it, or as BitScale answers. Costs no credits.

        :param anew: whether to ask BitScale in any case.
        """
        if not client.config.grid_cache_seconds:
            return cls._ask(client, grid_id)
        if anew:
            return cls._ask_for_all(client, grid_id)
        until = time.monotonic() + PATIENCE_SECONDS
        while (form := cls.shared(client, grid_id)) is None and time.monotonic() < until:
            if client.hints.claim(_ASKING, grid_id, ASKING_SECONDS):
                try:
                    # Another one may just have had the answer, and let go.
                    return cls.shared(client, grid_id) or cls._ask_for_all(client, grid_id)
                finally:
                    client.hints.delete(_ASKING, grid_id)
            time.sleep(_LOOK_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311
        return form or cls._ask(client, grid_id)

    @classmethod
    def _ask(cls, client: Client, grid_id: str) -> GridForm:
        return cls(client.get_grid(grid_id), client.needed_recipe(grid_id))

    @classmethod
    def _ask_for_all(cls, client: Client, grid_id: str) -> GridForm:
        asked_at = time.time()
        form = cls._ask(client, grid_id)
        value = {"asked_at": asked_at, **form.to_json()}
        client.hints.put(_KIND, grid_id, value, client.config.grid_cache_seconds)
        return form

    @classmethod
    def shared(cls, client: Client, grid_id: str) -> GridForm | None:
        """Return the form that processes share; None if there is none that is young enough."""
        value = client.hints.get(_KIND, grid_id) if client.config.grid_cache_seconds else None
        try:
            asked_at = fields.number(fields.json_object(value), "asked_at") or 0.0
            form = cls.from_json(value)
        except ValueError:
            return None
        age = time.time() - asked_at
        is_young = -_CLOCK_TOLERANCE < age < client.config.grid_cache_seconds
        return form if is_young and (form.recipe is not None) == client.contract.needs_recipe else None

    def to_json(self) -> dict[str, Any]:
        """Return what matters of it: no rows, and nothing that may be secret."""
        grid, recipe = self.grid, self.recipe
        return {
            "grid": {
                "id": grid.id,
                "name": grid.name,
                "updated_at": grid.updated_at and grid.updated_at.isoformat(),
                "columns": [_column(column) for column in grid.columns],
            },
            "recipe": recipe
            and {"inputs": list(recipe.inputs), "columns": [_column(each) for each in recipe.output_columns]},
        }

    @classmethod
    def from_json(cls, value: Any) -> GridForm:
        """Read what :meth:`to_json` gave.

        :raises ValueError: it is something else.
        """
        data = fields.json_object(value)
        grid = parsing.parse_grid(fields.part(data, "grid"))
        recipe = fields.part(data, "recipe")
        return cls(grid, None if recipe is None else _recipe(grid, recipe), is_cached=True)


def shared_grid(client: Client, grid_id: str) -> Grid | None:
    """Return a grid as processes share it; None if they do not."""
    form = GridForm.shared(client, grid_id)
    return None if form is None else form.grid


def drop_form(client: Client, grid_id: str) -> None:
    """Have the form of a grid asked for anew by whoever needs it next."""
    if client.config.grid_cache_seconds:
        client.hints.delete(_KIND, grid_id)


def note_grid(client: Client, grid: Grid) -> None:
    """Have the form of a grid asked for anew if it has changed: it was asked for anyway, in detail."""
    if client.config.grid_cache_seconds and _is_outdated(client.hints.get(_KIND, grid.id), grid):
        client.hints.delete(_KIND, grid.id)


async def anote_grid(client: AsyncClient, grid: Grid) -> None:
    """Async twin of :func:`note_grid`."""
    if client.config.grid_cache_seconds and _is_outdated(await client.hints.aget(_KIND, grid.id), grid):
        await client.hints.adelete(_KIND, grid.id)


def note_list(client: Client, grids: Iterable[Grid]) -> None:
    """Have the forms asked for anew of grids that have changed by a list, which may leave out columns."""
    for grid in _lately_changed(grids, client.config.grid_cache_seconds):
        note_grid(client, grid)


async def anote_list(client: AsyncClient, grids: Iterable[Grid]) -> None:
    """Async twin of :func:`note_list`."""
    for grid in _lately_changed(grids, client.config.grid_cache_seconds):
        await anote_grid(client, grid)


def _lately_changed(grids: Iterable[Grid], seconds: float) -> list[Grid]:
    """Return those that may have changed since their form was shared, without their columns."""
    since = time.time() - seconds - _CLOCK_TOLERANCE
    return [replace(grid, columns=()) for grid in grids if _timestamp(grid.updated_at) > since]


def _is_outdated(value: Any, seen: Grid) -> bool:
    try:
        known = GridForm.from_json(value).grid
    except ValueError:
        return False
    if _timestamp(seen.updated_at) > _timestamp(known.updated_at):
        return True
    return bool(seen.columns) and list(map(_column, seen.columns)) != list(map(_column, known.columns))


def _timestamp(moment: datetime | None) -> float:
    try:
        return 0.0 if moment is None else moment.timestamp()
    except (OverflowError, OSError, ValueError):
        # Of a year that this machine does not reckon with.
        return 0.0


def _recipe(grid: Grid, data: Any) -> RunRecipe:
    labels, columns = data.get("inputs"), data.get("columns")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("the labels cannot be read")
    if not isinstance(columns, list):
        raise ValueError("the columns cannot be read")
    return RunRecipe(grid.id, grid.name, tuple(labels), tuple(map(parsing.parse_column, columns)), data)


def _column(column: Column) -> dict[str, Any]:
    return {
        "id": column.id,
        "name": column.name,
        "type": column.type.value,
        "is_input": column.is_input,
        "is_output": column.is_output,
        "required": column.required,
    }

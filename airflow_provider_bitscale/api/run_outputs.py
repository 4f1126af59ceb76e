"""Pure: the outputs of a run, whatever form they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.models import Json

_FIELDS = ("outputs", "output", "results", "result")
_CELL_IDS = ("column_id", "columnId", "column", "id", "key")
_CELL_NAMES = ("name", "column_name", "columnName", "label")
_CELL_VALUES = ("value", "output", "result", "content")


def read_outputs(data: Json, *, cells: bool, unexpected: list[str]) -> tuple[Json | None, dict[str, str]]:
    """The values by column id, and the names of columns that came with them.

    :param data: the fields of a run.
    :param cells: whether ``{"value": …, "name": …}`` is how a value is documented.
    :param unexpected: gets what was not as documented.
    :return: None for values that cannot be read.
    """
    for field in _FIELDS:
        value = data.get(field)
        if isinstance(value, Mapping) and (value or field == "outputs"):
            outputs, names = _of_map(value, cells, unexpected)
        elif isinstance(value, list) and (found := _of_list(value)) is not None:
            unexpected.append("the outputs are a list of cells")
            outputs, names = found
        else:
            continue
        if field != "outputs":
            unexpected.append(f"the outputs are called {field!r}")
        return outputs, names
    return None, {}


def _of_map(value: Json, cells: bool, unexpected: list[str]) -> tuple[Json, dict[str, str]]:
    wrapped = {key: cell for key, cell in value.items() if isinstance(cell, Mapping) and "value" in cell}
    if not cells and wrapped:
        # A column may hold an object of its own: only where all are cells, that is how they are written.
        if len(wrapped) < len(value) or not all("name" in cell for cell in wrapped.values()):
            return value, {}
        unexpected.append("each output is an object with its value and name")
    values = {key: wrapped[key]["value"] if key in wrapped else cell for key, cell in value.items()}
    return values, {key: cell["name"] for key, cell in wrapped.items() if isinstance(cell.get("name"), str)}


def _of_list(cells: Sequence[Any]) -> tuple[Json, dict[str, str]] | None:
    """The cells of a list, if there are any, and all of them name their column."""
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for cell in cells:
        if not isinstance(cell, Mapping):
            return None
        name = _text(cell, _CELL_NAMES)
        column_id = _text(cell, _CELL_IDS) or name
        value_field = next((field for field in _CELL_VALUES if field in cell), None)
        if column_id is None or value_field is None or column_id in values:
            return None
        values[column_id] = cell[value_field]
        if name is not None:
            names[column_id] = name
    return (values, names) if values else None


def _text(cell: Json, fields: Sequence[str]) -> str | None:
    return next((cell[field] for field in fields if isinstance(cell.get(field), str) and cell[field]), None)

"""Pure: reads the outputs of a run, in any of their forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_bitscale.api.fields import named, plain
from airflow_provider_bitscale.api.models import Json

_FIELDS = ("outputs", "output", "results", "result")
# What may stand beside outputs in an object that is not the outputs themselves.
_BESIDE_OUTPUTS = (
    *("status", "state", "success", "mode", "id", "runid", "requestid", "gridid", "credits", "error"),
    *("message", "startedat", "completedat"),
)
_COLUMNS = ("columnid", "column", "id", "key")
_NAMES = ("name", "columnname", "label", "column")
_VALUES = ("value", "output", "result", "content")


def holds_outputs(data: Json) -> bool:
    """Whether it has outputs under that name, readable or not."""
    return any(isinstance(data[name], (Mapping, list)) for name in named(data, ("outputs", "output")))


def read_outputs(data: Json, *, cells: bool, unexpected: list[str]) -> tuple[Json | None, dict[str, str]]:
    """Return the values by column id, and the names of columns that came with them.

    :param cells: whether ``{"value": …, "name": …}`` is how a value is documented.
    :return: None for values that cannot be read; none at all only where nothing else has any.
    """
    for field in named(data, _FIELDS):
        value = _unwrapped(data[field])
        if isinstance(value, Mapping) and value:
            outputs, names = _of_map(value, cells, unexpected)
        elif isinstance(value, list) and (found := _of_list(value)) is not None:
            unexpected.append("the outputs are a list of cells")
            outputs, names = found
        else:
            continue
        if value is not data[field]:
            unexpected.append("the outputs are wrapped in an object")
        if field != "outputs":
            unexpected.append(f"the outputs are called {field!r}")
        return outputs, names
    return ({} if data.get("outputs") == {} else None), {}


def _unwrapped(value: Any) -> Any:
    """Return the outputs, out of an object that has nothing else but what describes a run."""
    if isinstance(value, Mapping) and holds_outputs(value):
        (inner, *more) = named(value, ("outputs", "output"))
        if not more and all(plain(name) in _BESIDE_OUTPUTS for name in value if name != inner):
            return value[inner]
    return value


def _of_map(value: Json, cells: bool, unexpected: list[str]) -> tuple[Json, dict[str, str]]:
    wrapped = {key: cell for key, cell in value.items() if isinstance(cell, Mapping) and "value" in cell}
    if not cells and wrapped:
        # A column may hold an object of its own: these are cells only if all that is there are.
        there = [cell for cell in value.values() if cell is not None]
        if len(wrapped) < len(there) or not all("name" in cell or len(cell) == 1 for cell in there):
            return value, {}
        unexpected.append("each output is an object with its value")
    values = {key: wrapped[key]["value"] if key in wrapped else cell for key, cell in value.items()}
    return values, {key: cell["name"] for key, cell in wrapped.items() if isinstance(cell.get("name"), str)}


def _of_list(cells: Sequence[Any]) -> tuple[Json, dict[str, str]] | None:
    """Return the cells of a list, if one has a value, and all of them name a column of their own."""
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    filled = False
    for cell in cells:
        if cell is None:
            continue
        if not isinstance(cell, Mapping):
            return None
        column = cell.get("column")
        parts = (cell, column) if isinstance(column, Mapping) else (cell,)
        name = next((text for part in parts for text in _texts(part, _NAMES)), None)
        # The id within a cell's column is the column's, and one beside it may be the cell's.
        column_id = next((text for part in reversed(parts) for text in _texts(part, _COLUMNS)), name)
        if column_id is None or column_id in values:
            return None
        value_fields = named(cell, _VALUES)
        values[column_id] = cell[value_fields[0]] if value_fields else None
        filled = filled or bool(value_fields)
        if name is not None:
            names[column_id] = name
    return (values, names) if filled else None


def _texts(data: Json, names: Sequence[str]) -> list[str]:
    values = [data[name] for name in named(data, names)]
    return [str(value) for value in values if isinstance(value, (str, int)) and str(value).strip()]

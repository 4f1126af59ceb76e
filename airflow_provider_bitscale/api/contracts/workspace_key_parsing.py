"""Pure: from the answers to a workspace key to the same records as those of v1.1.0.

Each answer is brought into the form of v1.1.0, which is then read; ``raw`` keeps it as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_bitscale.api import fields, parsing
from airflow_provider_bitscale.api.models import Grid, GridPage, RunRecipe, Workspace

# What the length of a whole list may be called.
_TOTAL_KEYS = ("total", "total_count")


def parse_workspace(payload: Any) -> Workspace:
    """Read ``GET /workspace``.

    :raises ValueError: the payload is not a workspace, as for every parser here.
    """
    data = fields.unwrapped(payload, "id", "credits")
    plan = data.get("plan")
    if isinstance(plan, Mapping):
        plan = {**plan, "renewal_date": plan.get("next_billing_date")}
    return replace(parsing.parse_workspace({**data, "plan": plan}), raw=data)


def parse_grid(payload: Any) -> Grid:
    """Read a grid, listed or in detail."""
    data = fields.unwrapped(payload, "id")
    columns = data.get("columns")
    if isinstance(columns, list):
        columns = [_with_id(column) for column in columns]
    return replace(parsing.parse_grid({**data, "columns": columns}), raw=data)


def parse_grids(payload: Any) -> GridPage:
    """Read one page of ``GET /grids``."""
    items = fields.json_list(payload, "grids")
    grids = parsing.readable(items, parse_grid)
    return GridPage(grids, _total(payload), len(items) - len(grids))


def parse_recipe(payload: Any) -> RunRecipe:
    """Read ``GET /grids/:gridId/curl``."""
    data = fields.json_object(payload)
    body = fields.json_object(data.get("request_body"))
    inputs = fields.json_object(body.get("inputs"))
    outputs = data.get("output_columns")
    columns = [_with_id(item) for item in outputs] if isinstance(outputs, list) else []
    return RunRecipe(
        grid_id=fields.text(data, "grid_id"),
        grid_name=fields.text(data, "grid_name"),
        inputs=tuple(inputs),
        # A run does not depend on these: what cannot be read must not keep one from being submitted.
        output_columns=tuple(
            parsing.parse_column(item)
            for item in columns
            if isinstance(item, Mapping) and fields.text(item, "id")
        ),
        raw=data,
    )


def parse_api_key(payload: Any) -> str:
    """Read ``POST /api-key/rotate``."""
    return fields.required_text(fields.json_object(payload), "api_key")


def _with_id(column: Any) -> Any:
    """Return a column with its ``id``, which some reports call ``key``."""
    if isinstance(column, Mapping) and not column.get("id"):
        return {**column, "id": column.get("key")}
    return column


def _total(payload: Any) -> int | None:
    if not isinstance(payload, Mapping):
        return None
    for part in (payload, *(value for value in payload.values() if isinstance(value, Mapping))):
        for key in _TOTAL_KEYS:
            if isinstance(total := part.get(key), int) and not isinstance(total, bool):
                return total
    return None

"""Pure: from the answers to a workspace key to the same records as those of v1.1.0.

Each answer is brought into the form of v1.1.0, which is then read; ``raw`` keeps it as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_bitscale.api import fields, parsing
from airflow_provider_bitscale.api.models import Grid, GridPage, Json, Run, RunRecipe, Workspace

# What the length of a whole list may be called.
_TOTAL_KEYS = ("total", "total_count")


def parse_workspace(payload: Any) -> Workspace:
    """Read ``GET /workspace``.

    :raises ValueError: the payload is not a workspace, as for every parser here.
    """
    data = fields.json_object(payload)
    plan = data.get("plan")
    if isinstance(plan, Mapping):
        plan = {**plan, "renewal_date": plan.get("next_billing_date")}
    return replace(parsing.parse_workspace({**data, "plan": plan}), raw=data)


def parse_grid(payload: Any) -> Grid:
    """Read a grid, listed or in detail."""
    data = fields.json_object(payload)
    columns = data.get("columns")
    if isinstance(columns, list):
        columns = [_with_id(column) for column in columns]
    return replace(parsing.parse_grid({**data, "columns": columns}), raw=data)


def parse_grids(payload: Any) -> GridPage:
    """Read one page of ``GET /grids``."""
    grids = [parse_grid(item) for item in fields.json_list(payload, "grids")]
    return GridPage(grids, _total(payload))


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


def parse_polled_run(payload: Any, run_id: str) -> Run:
    """Read the answer to a poll of a run, which may leave out its id."""
    data = fields.json_object(payload)
    if not isinstance(data.get("outputs") or {}, Mapping):
        # Rather asked for again, for as long as there is patience, than taken for a run that found nothing.
        raise ValueError("the outputs are no JSON object")
    run = parsing.parse_run(_in_form_of_v1_1_0(data))
    return replace(run, run_id=run.run_id or run_id, raw=data)


def parse_accepted_run(payload: Any) -> Run:
    """Read the answer to a POST that was paid for."""
    data = fields.json_object(payload)
    return replace(parsing.parse_accepted_run(_in_form_of_v1_1_0(data)), raw=data)


def parse_api_key(payload: Any) -> str:
    """Read ``POST /api-key/rotate``."""
    return fields.required_text(fields.json_object(payload), "api_key")


def _in_form_of_v1_1_0(data: Json) -> Json:
    outputs, names = _outputs(data.get("outputs"))
    return {
        **data,
        "run_id": data.get("request_id") or data.get("run_id"),
        "outputs": outputs,
        "output_names": names,
        "error": data.get("error") or (data.get("message") if data.get("status") == "failed" else None),
    }


def _outputs(outputs: Any) -> tuple[Json | None, Json]:
    """Values by column id, and the names that came with them."""
    if not isinstance(outputs, Mapping):
        return None, {}
    wrapped = {key: cell for key, cell in outputs.items() if isinstance(cell, Mapping) and "value" in cell}
    values = {key: wrapped[key]["value"] if key in wrapped else cell for key, cell in outputs.items()}
    return values, {key: cell["name"] for key, cell in wrapped.items() if isinstance(cell.get("name"), str)}


def _with_id(column: Any) -> Any:
    """The reports differ in whether a column's id is called ``id`` or ``key``."""
    if isinstance(column, Mapping) and not column.get("id"):
        return {**column, "id": column.get("key")}
    return column


def _total(payload: Json) -> int | None:
    """The length of the whole list, if the answer or an object in it has one."""
    for part in (payload, *(value for value in payload.values() if isinstance(value, Mapping))):
        for key in _TOTAL_KEYS:
            if isinstance(total := part.get(key), int) and not isinstance(total, bool):
                return total
    return None

"""Pure: what commands show, as records of JSON and as texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api.blank import is_blank

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.models import Column, Grid, Run, RunRecipe


def one_line(text: str) -> str:
    """Return a text in one line, without what a terminal would obey."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """Return a text with a space for each character that is none to print."""
    return "".join(character if character.isprintable() else " " for character in text)


def grid_record(grid: Grid) -> dict[str, Any]:
    """Return a grid of a list."""
    return {
        "id": grid.id,
        "name": grid.name,
        "rows": grid.row_count,
        "columns": grid.column_count,
        "updated_at": grid.updated_at and grid.updated_at.isoformat(),
    }


def column_records(grid: Grid, recipe: RunRecipe | None) -> list[dict[str, Any]]:
    """Return what a run of a grid takes and gives; None for what BitScale does not tell.

    :param recipe: which names the inputs, where the columns do not tell them.
    """
    if recipe is None:
        return [
            _column(column, input=column.is_input, output=column.is_output, required=column.required)
            for column in grid.columns
        ]
    inputs = [
        {"name": label, "id": None, "type": None, "input": True, "output": False, "required": None}
        for label in recipe.inputs
    ]
    outputs = recipe.output_columns or grid.columns
    return inputs + [_column(column, input=False, output=True, required=None) for column in outputs]


def _column(column: Column, **facts: bool | None) -> dict[str, Any]:
    return {"name": column.name, "id": column.id, "type": column.type.value, **facts}


def task_arguments(grid_id: str, columns: Sequence[Mapping[str, Any]]) -> str:
    """Return arguments of RunGridOperator for a grid, to paste: blank inputs are never paid for.

    :param columns: as of :func:`column_records`.
    """
    lines = [f"grid_id={_quoted(grid_id)},", "inputs={"]
    for column in columns:
        if column["input"]:
            facts = [column["type"], {True: "required", False: "optional"}.get(column["required"])]
            comment = ", ".join(fact for fact in facts if fact)
            lines.append(f'    {_key(column, columns)}: "",' + (f"  # {comment}" if comment else ""))
    lines.append("},")
    outputs = [_key(column, columns) for column in columns if column["output"] and not column["input"]]
    if outputs:
        lines += ["output_columns=[", *(f"    {output}," for output in outputs), "],"]
    return "\n".join(lines)


def _key(column: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> str:
    """Return what names a column in a task: its name, unless another one of its kind has that, too."""
    namesakes = sum(
        other["name"] == column["name"] for other in columns if other["id"] or column["id"] is None
    )
    return _quoted(column["name"] if namesakes == 1 or column["id"] is None else column["id"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else json.dumps(text)


def request_record(label: str, body: bytes | None, grid: Grid, recipe: RunRecipe | None) -> dict[str, Any]:
    """Return a run that would be submitted: what it means, and the request as it would be sent.

    :param label: method and path of the request.
    :param recipe: which names the inputs, where column ids do not.
    """
    request = json.loads(body or b"{}")
    names = {column.id: column.name for column in grid.columns}
    inputs: dict[str, Any] = {}
    for key, value in request.get("inputs", {}).items():
        name = names.get(key, key) if recipe is None else key
        # Of columns that share a name, the others go by their ids.
        inputs[key if name in inputs else name] = value
    columns = request.get("output_columns")
    return {
        "grid": grid.name,
        "inputs": inputs,
        "output_columns": None if columns is None else [names.get(key, key) for key in columns],
        "request": label,
        "body": request,
    }


def run_record(run: Run, grid: Grid, run_id: str) -> dict[str, Any]:
    """Return a run; if it has ended, with its outputs by column name, where one column only has that."""
    from airflow_provider_bitscale.runs.inputs import input_columns, unique_names
    from airflow_provider_bitscale.runs.result import run_result

    status = run.to_json()["status"]
    if not run.status.is_terminal:
        return {"run_id": run_id, "grid_id": grid.id, "status": status}
    result = run_result(
        run,
        grid_id=grid.id,
        run_id=run_id,
        column_names=unique_names(grid),
        input_columns=input_columns(grid),
    )
    return {**result, "status": status, "error": run.error}


def fields_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a record as rows of a table, one for each value that is not blank, and of a mapping in it."""
    rows: list[dict[str, Any]] = []
    for name, value in record.items():
        if isinstance(value, Mapping) and not any(isinstance(each, (dict, list)) for each in value.values()):
            rows += [{"field": f"{name}.{key}", "value": value[key]} for key in value]
        else:
            rows.append({"field": name, "value": value})
    return [row for row in rows if not is_blank(row["value"])]


def cell(value: Any) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return printable(str(value))


def aligned(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows of the same fields in columns, below the names of the fields."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

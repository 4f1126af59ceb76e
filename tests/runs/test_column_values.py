"""What passes the check of a row is what BitScale takes: none is refused after others were paid for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bitscale.api.models import ColumnType
from airflow_provider_bitscale.emulator.errors import ApiError
from airflow_provider_bitscale.emulator.seed import Column, Grid
from airflow_provider_bitscale.emulator.validation import parse_run_request
from airflow_provider_bitscale.runs.column_values import misfit

VALUES: dict[str, list[Any]] = {
    "date": [
        "2024-04-15",
        "2024-04-15T12:00",
        "2024-04-15T12:00Z",
        "2024-04-15T12:00:00",
        "2024-04-15T12:00:00.5+0200",
        "2024-04-15T12:00:00+02:00",
        "2024-04-15 12:00",
        "2024-04-15t12:00:00z",
        "2024-04-15T12",
        "2024-04-15T25:00",
        "2024-04-15T12:00.5",
        "2024-04-15T12:00:00,5",
        "2024-04",
        "2024-02-30",
        "20240415",
        "2024-W16-1",
        " 2024-04-15",
        "2024-04-15\n",
        "\u0662\u0660\u0662\u0664-04-15",
    ],
    "email": [
        "a@b.test",
        "a@b",
        "a@b.",
        "a@.test",
        "@b.test",
        "a b@c.test",
        "a@b@c.test",
        "a@b.test ",
        "a@b..c",
    ],
    "url": [
        "https://a.test",
        "a.test",
        "https://",
        "ftp://a.test",
        "https://a b",
        "https://a.test\n",
        "http://[",
    ],
    "number": [1, 1.5, -1, True, "1", float("inf"), 10**30],
    "boolean": [True, False, 0, 1, "true"],
    "text": ["x", 1, True, ["x"]],
}


def emulator_takes(kind: str, value: Any) -> bool:
    column = Column(id="c", name="C", type=kind, is_input=True, is_output=False)
    body = json.dumps({"mode": "async", "inputs": {"c": value}}).encode()
    try:
        parse_run_request(Grid("g", "w", "G", None, 0, "", "", (column,)), "application/json", body)
    except ApiError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in VALUES.items() for value in values]
)
def test_what_passes_is_taken(kind: str, value: Any) -> None:
    assert misfit(ColumnType(kind), value) is not None or emulator_takes(kind, value)


@pytest.mark.parametrize(("kind", "values"), VALUES.items(), ids=VALUES.keys())
def test_some_of_each_kind_pass(kind: str, values: list[Any]) -> None:
    assert any(misfit(ColumnType(kind), value) is None for value in values)

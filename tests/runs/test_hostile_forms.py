"""Whatever somebody has put in the place of a grid's form: it is read, or it is a ValueError."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_bitscale.api.carriable import read_json
from airflow_provider_bitscale.api.parsing import parse_grid
from airflow_provider_bitscale.runs.grid_cache import GridForm, _is_outdated

COLUMN = {"id": "c", "name": "N", "type": "text", "is_input": True, "is_output": False, "required": True}
FORM = {
    "asked_at": 1.0,
    "grid": {"id": "g", "name": "n", "updated_at": "2024-01-01T00:00:00+00:00", "columns": [COLUMN]},
    "recipe": {"inputs": ["a"], "columns": [COLUMN]},
}
ODD: list[Any] = [
    *(None, True, 0, -1, 1e308, 10**400, float("nan"), "", "x", "9" * 400, "\ud800", "2024"),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00"),
    *([], {}, [[]], [None], {"": None}, [1], ["a"], {"id": 1}),
]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a value: the keys that lead there."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*place, key))


def spoilt(place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    form = copy.deepcopy(FORM)
    part: Any = form
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = odd
    return form


@pytest.mark.parametrize("place", list(places(FORM)), ids=str)
def test_any_value_is_read_or_refused_as_such(place: tuple[Any, ...]) -> None:
    grid = parse_grid(FORM["grid"])
    for odd in ODD:
        value = read_json(json.dumps(spoilt(place, odd)).encode())
        assert _is_outdated(value, grid) in (True, False)
        try:
            form = GridForm.from_json(value)
        except ValueError:
            continue
        assert _is_outdated(FORM, form.grid) in (True, False), "BitScale may tell odd times itself"
        json.dumps(form.to_json())

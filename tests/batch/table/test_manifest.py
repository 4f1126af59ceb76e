"""Rows of an earlier batch are read as they were there, unless something else is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api.blank import NULL_VALUES
from airflow_provider_bitscale.batch.table.manifest import ReadOptions

EARLIER: dict[str, Any] = {"inputs": {"Name": "who"}, "null_values": ["NULL"]}
DEFAULT = list(NULL_VALUES)
# What is asked for, the manifest of an earlier batch, and how rows are read.
ASKED: list[tuple[Any, Any, dict[str, Any], dict[str, Any]]] = [
    (None, None, {}, {"inputs": None, "null_values": DEFAULT}),
    (None, None, EARLIER, EARLIER),
    ({"Name": "x"}, None, EARLIER, {"inputs": {"Name": "x"}, "null_values": ["NULL"]}),
    (None, ("-",), EARLIER, {"inputs": {"Name": "who"}, "null_values": ["-"]}),
    (None, [], EARLIER, {"inputs": {"Name": "who"}, "null_values": []}),
    (None, None, {"null_values": []}, {"inputs": None, "null_values": []}),
]


@pytest.mark.parametrize(("inputs", "null_values", "earlier", "expected"), ASKED)
def test_how_rows_are_read(
    inputs: Any, null_values: Any, earlier: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = ReadOptions.of(inputs, null_values, earlier).in_manifest
    assert found == expected
    assert ReadOptions.of(None, None, found).in_manifest == found

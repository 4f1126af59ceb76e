"""What counts as no value, wherever that is asked."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bitscale.api.blank import NULL_VALUES, is_blank

BLANK: list[Any] = [
    None,
    "",
    " ",
    "\t\r\n",
    "\u00a0",
    "\u2007\u202f",
    "\u200b",
    " \ufeff ",
    "\x00\x1a",
    [],
    (),
    {},
]
VALUES: list[Any] = [
    0,
    0.0,
    False,
    "0",
    "x",
    " x ",
    "-",
    ".",
    "NULL",
    "\u2764",
    "\u7f51",
    [0],
    [None],
    {"a": None},
]


@pytest.mark.parametrize("value", BLANK, ids=repr)
def test_what_is_blank(value: Any) -> None:
    assert is_blank(value)
    assert is_blank(value, NULL_VALUES)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_a_value(value: Any) -> None:
    assert not is_blank(value)
    assert not is_blank(value, NULL_VALUES)


@pytest.mark.parametrize("text", NULL_VALUES)
def test_texts_that_stand_for_nothing(text: str) -> None:
    assert not is_blank(text)
    assert is_blank(f" {text} ", NULL_VALUES)
    assert not is_blank(f"{text}{text}", NULL_VALUES)

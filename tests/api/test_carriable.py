"""Values that JSON allows and Airflow's channels do not, as they are carried."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from airflow_provider_bitscale.api.carriable import carriable, carriable_text, read_json

DEEP: Any = "bottom"
for _ in range(80):
    DEEP = [DEEP]

CASES: dict[str, tuple[str, Any]] = {
    "text cut inside an emoji": (r'"Acme \ud83d"', "Acme �"),
    "the other half": (r'"\udc00 Acme"', "� Acme"),
    "both halves": (r'"\ud83d\ude00"', "😀"),
    "a NUL character": (r'"a\u0000b"', "ab"),
    "only a NUL character": (r'"\u0000"', ""),
    "NaN": ("NaN", None),
    "infinity": ("Infinity", None),
    "its opposite": ("-Infinity", None),
    "a number too large for a float": ("1e400", None),
    "a 30-digit integer": ("1" * 30, "1" * 30),
    "a negative one": ("-" + "1" * 30, "-" + "1" * 30),
    "an integer that Python does not read": ("1" * 5000, "1" * 5000),
    "the largest integer": (str(2**64 - 1), 2**64 - 1),
    "one more": (str(2**64), str(2**64)),
    "the least": (str(-(2**63)), -(2**63)),
    "one less": (str(-(2**63) - 1), str(-(2**63) - 1)),
    "in a list": (r'["ok", "\u0000", [NaN]]', ["ok", "", [None]]),
    "in an object": (r'{"a": {"b": "\ud83d"}}', {"a": {"b": "�"}}),
    "as a key": (r'{"a\u0000": 1, "\ud83d": 2}', {"a": 1, "�": 2}),
    "what all can carry": ('{"a": [1, 1.5, true, null, "é"]}', {"a": [1, 1.5, True, None, "é"]}),
}


@pytest.mark.parametrize(("text", "carried"), CASES.values(), ids=CASES.keys())
def test_odd_values_are_carried_in_a_form_that_every_channel_takes(text: str, carried: Any) -> None:
    value = read_json(text.encode())
    assert value == carried
    assert type(value) is type(carried)
    msgspec.msgpack.encode(value)
    assert "\\u0000" not in json.dumps(value, allow_nan=False)
    json.dumps(value, ensure_ascii=False).encode()


def test_what_needs_no_change_is_the_same_object() -> None:
    value = {"a": [1, {"b": "text"}], "c": None}
    assert carriable(value) is value


def test_what_is_nested_too_deep_becomes_a_short_text() -> None:
    carried = carriable(DEEP)
    for _ in range(64):
        carried = carried[0]
    assert isinstance(carried, str)
    assert "bottom" in carried


def test_a_text_alone_is_cleaned_likewise() -> None:
    assert carriable_text("a\x00\ud83d") == "a�"


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever json says
        read_json(body)

"""What stands in a file: read as it was written, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_bitscale.api.limit.slot_book import LAYOUT, SlotBook
from airflow_provider_bitscale.api.shared_state import file_content
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES
from airflow_provider_bitscale.api.shared_state.file_content import (
    BOOK_BYTES,
    UnusableError,
    book_of,
    content_of_book,
    content_of_value,
    value_of,
)

NOW = 1_800_000_000.0
BOOK = SlotBook(
    tickets=7, head=3, head_at=NOW + 0.25, share=0.5, paused_until=NOW - 60, written_at=NOW - 3600
)
Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "cut off": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "one byte": lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"{}",
    "short": lambda content: b"\0",
}


def test_a_book_is_read_as_it_was_written() -> None:
    content = content_of_book(BOOK)
    assert len(content) == BOOK_BYTES
    assert book_of(content, NOW) == BOOK


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_book_is_not_believed(damage: Damage) -> None:
    with pytest.raises(UnusableError, match="cannot be read"):
        book_of(damage(content_of_book(BOOK)), NOW)


@pytest.mark.parametrize(
    "book",
    [
        replace(BOOK, written_at=NOW + 60),
        replace(BOOK, head_at=NOW + 1e6),
        replace(BOOK, share=0.0),
        replace(BOOK, limit=float("nan")),
        replace(BOOK, others=float("inf")),
        replace(BOOK, claimed=-1.0),
        replace(BOOK, head=8.0),
    ],
    ids=[
        "of the future",
        "far away",
        "no share",
        "not a number",
        "infinite",
        "negative",
        "beyond the tickets",
    ],
)
def test_a_book_that_cannot_be_is_not_believed(book: SlotBook) -> None:
    with pytest.raises(UnusableError, match="another time"):
        book_of(content_of_book(book), NOW)


def test_a_book_of_another_version_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other_version:
        other_version.setattr(file_content, "LAYOUT", LAYOUT ^ 1)
        content = content_of_book(BOOK)
    with pytest.raises(UnusableError, match="cannot be read"):
        book_of(content, NOW)


@pytest.mark.parametrize("value", [b"", b"\0", b"words", bytes(MAX_VALUE_BYTES)], ids=len)
@pytest.mark.parametrize(
    ("later", "is_there"), [(0.0, True), (9.9, True), (10.0, False), (1e9, False), (-1.0, True)]
)
def test_a_value_is_there_for_its_time(value: bytes, later: float, is_there: bool) -> None:
    content = content_of_value(value, 10.0, NOW)
    assert value_of(content, NOW + later) == (value if is_there else None)


def test_a_value_of_the_future_is_not_believed() -> None:
    with pytest.raises(UnusableError, match="another time"):
        value_of(content_of_value(b"words", 10.0, NOW), NOW - 60)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_value_is_not_believed(damage: Damage) -> None:
    with pytest.raises(UnusableError, match="cannot be read"):
        value_of(damage(content_of_value(b"words", 10.0, NOW)), NOW)


def test_an_absurdly_long_value_is_not_believed() -> None:
    with pytest.raises(UnusableError, match="cannot be read"):
        value_of(content_of_value(bytes(MAX_VALUE_BYTES + 1), 10.0, NOW), NOW)

"""Pure: what stands in a file of shared state. A checksum tells what was written by us, and wholly."""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from airflow_provider_bitscale.api.limit.slot_book import CLOCK_TOLERANCE, LAYOUT, SlotBook, numbers_of
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES

_NUMBERS = Struct(f"<{len(SlotBook.__slots__)}d")
_CHECKSUM = 4
# When a value was written, and for how many seconds.
_LIFETIME = Struct("<2d")

BOOK_BYTES = _NUMBERS.size + _CHECKSUM
LONGEST = _LIFETIME.size + MAX_VALUE_BYTES + _CHECKSUM


class UnusableError(Exception):
    """It cannot be used. The message says why."""


def content_of_book(book: SlotBook) -> bytes:
    """Return what to write."""
    return _checked(_NUMBERS.pack(*numbers_of(book)))


def book_of(content: bytes, now: float) -> SlotBook:
    """Return the book that was written.

    :raises UnusableError: it is none, or one not worth believing.
    """
    if len(content) != BOOK_BYTES or not _is_whole(content):
        raise UnusableError("it cannot be read")
    book = SlotBook(*_NUMBERS.unpack_from(content))
    if not book.is_plausible(now):
        raise UnusableError("it is of another time")
    return book


def content_of_value(value: bytes, seconds: float, now: float) -> bytes:
    """Return what to write."""
    return _checked(_LIFETIME.pack(now, seconds) + value)


def value_of(content: bytes, now: float) -> bytes | None:
    """Return the value that was written; None if its time is over.

    :raises UnusableError: it is none, or was written in the future.
    """
    if not _LIFETIME.size + _CHECKSUM <= len(content) <= LONGEST or not _is_whole(content):
        raise UnusableError("it cannot be read")
    written_at, seconds = _LIFETIME.unpack_from(content)
    if written_at > now + CLOCK_TOLERANCE:
        raise UnusableError("it is of another time")
    return content[_LIFETIME.size : -_CHECKSUM] if now < written_at + seconds else None


def _checked(content: bytes) -> bytes:
    # The checksum begins with the layout.
    return content + crc32(content, LAYOUT).to_bytes(_CHECKSUM, "little")


def _is_whole(content: bytes) -> bool:
    return _checked(content[:-_CHECKSUM]) == content

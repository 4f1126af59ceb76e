"""What a place must offer that holds shared state."""

from __future__ import annotations

from typing import ClassVar, Protocol

from airflow_provider_bitscale.api.limit.bookings import Operation, Turn

MAX_VALUE_BYTES = 256 * 1024
"""A longer value is not kept, and not read: it is none of this provider's."""


class Busy(Exception):
    """Somebody else is at it: ask again in a moment."""


class UnavailableError(Exception):
    """There is no answer. The message is for the log, and has no secret in it."""


class Backend(Protocol):
    """Holds slot books and small values, by name. Safe to use from several threads.

    Every method may raise :class:`UnavailableError` or OSError, and :class:`Busy` before anything was done.
    What is held and cannot be read is told once in the log, and replaced.
    """

    blocks: ClassVar[bool]
    """Whether a call may take so long that no event loop is to wait for it."""

    @property
    def scope(self) -> str:
        """Who shares this state, in words for the log."""

    def apply(self, name: str, operation: Operation) -> Turn:
        """Do what is asked of a slot book, in one step that no other process can come between."""

    def get(self, name: str) -> bytes | None:
        """Return a value; None if there is none, or its time is over, or it is empty, as a claim is."""

    def put(self, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for so many seconds, unless it is too long."""

    def claim(self, name: str, seconds: float) -> bool:
        """Claim a name for so many seconds, unless somebody has it; return whether it was free."""

    def delete(self, name: str) -> None:
        """Remove a value or a claim, if there is one."""

"""The recorded wire: every request to the emulated API as it came in, and what it was answered."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

_LONGEST_RECORD = 200_000
# Headers with the key of a contract, or what a client may take for one.
_KEY_HEADERS = ("api_key", "x-api-key", "api-key", "apikey", "authorization")
# Of a key, enough is shown to tell which it was; of one that is shorter than this, nothing.
_LONG_KEY = 20
_SHOWN_LETTERS = 4


@dataclass(slots=True)
class Exchange:
    """One request, kept as raw bytes: making it readable is left to those who look.

    ``status`` is that of the status line that left, or None: not yet, or the connection was cut before it.
    """

    at: float
    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    status: int | None = None
    faults: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the exchange as the control API shows it; several faults are joined by ``+``.

        Whoever meant to try the real service may have sent its key: keys are masked.
        """
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        return {
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "headers": [
                [name, masked(value) if name.lower() in _KEY_HEADERS else value] for name, value in headers
            ],
            "body": self.body.decode("utf-8", "replace"),
            "status": self.status,
            "fault": "+".join(self.faults) or None,
        }


def masked(key: str) -> str:
    """Return what is shown of a key: ``***``, and its last letters if it is long."""
    return "***" + (key[-_SHOWN_LETTERS:] if len(key) >= _LONG_KEY else "")


def new_wire() -> deque[Exchange]:
    """Return an empty record that forgets its oldest exchange when it is full."""
    return deque(maxlen=_LONGEST_RECORD)

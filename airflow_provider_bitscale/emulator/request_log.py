"""The request log: every request to the emulated API as received, with the status of its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST_LOG = 200_000
"""How many requests are kept: the newest ones."""

# Headers that carry a contract's key, and those that clients use by mistake.
_KEY_HEADERS = ("api_key", "x-api-key", "api-key", "apikey", "authorization")
# The last letters show which key it was; of a key shorter than this, nothing is shown.
_LONG_KEY = 20
_SHOWN_LETTERS = 4


@dataclass(slots=True)
class RecordedRequest:
    """One request, kept as raw bytes: only those who read the log pay for decoding.

    :param target: the raw path, with its query.
    :param status: None if no status line was sent: not yet, or the connection was cut.
    """

    at: float
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    status: int | None = None
    faults: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the request as the control API shows it; several faults are joined by ``+``.

        Keys are masked: a client may have sent the key of the real service by mistake.
        """
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        return {
            "at": self.at,
            "method": self.method,
            "path": self.target,
            "headers": [
                [name, masked(value) if name.lower() in _KEY_HEADERS else value] for name, value in headers
            ],
            "body": self.body.decode("utf-8", "replace"),
            "status": self.status,
            "fault": "+".join(self.faults) or None,
        }


def masked(key: str) -> str:
    """Return ``***`` and, if the key is long, its last letters."""
    return "***" + (key[-_SHOWN_LETTERS:] if len(key) >= _LONG_KEY else "")

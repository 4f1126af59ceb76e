"""The error codes that the emulator answers with, and the exception that carries one.

The document of v1.1.0 lists eight codes but ties none to a status, and has no code for several statuses it
names. Each code of our own invention stands here once, apart from the documented ones.
"""

from __future__ import annotations

from typing import Any

# Documented ("Common Error Codes").
INVALID_API_KEY = "INVALID_API_KEY"
WORKSPACE_NOT_FOUND = "WORKSPACE_NOT_FOUND"
GRID_NOT_FOUND = "GRID_NOT_FOUND"
MISSING_REQUIRED_FIELD = "MISSING_REQUIRED_FIELD"
INVALID_COLUMN_TYPE = "INVALID_COLUMN_TYPE"
RUN_LIMIT_EXCEEDED = "RUN_LIMIT_EXCEEDED"
INSUFFICIENT_CREDITS = "INSUFFICIENT_CREDITS"
WEBHOOK_DELIVERY_FAILED = "WEBHOOK_DELIVERY_FAILED"

# Seen in answers to clients that send a workspace key.
MISSING_SOURCE = "MISSING_SOURCE"

# Undocumented: the situation is in the document, the code is ours.
FORBIDDEN = "FORBIDDEN"
RUN_NOT_FOUND = "RUN_NOT_FOUND"
RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
INVALID_REQUEST = "INVALID_REQUEST"
UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
RUN_FAILED = "RUN_FAILED"
NOT_FOUND = "NOT_FOUND"
METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
INTERNAL_ERROR = "INTERNAL_ERROR"

_CODE_OF_STATUS = {
    401: INVALID_API_KEY,
    403: FORBIDDEN,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    429: RATE_LIMIT_EXCEEDED,
}


def default_code(status: int) -> str:
    """Return the error code an injected ``status`` carries when the test names none."""
    if status >= 500:
        return INTERNAL_ERROR
    return _CODE_OF_STATUS.get(status, INVALID_REQUEST)


def error_body(code: str, message: str) -> dict[str, Any]:
    """Return the one error shape of the document ("Error Handling")."""
    return {"error": {"code": code, "message": message}}


class ApiError(Exception):
    """A request the API refuses: HTTP ``status``, ``code`` and a ``message`` for a human."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message

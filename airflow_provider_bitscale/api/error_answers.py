"""Pure: which error an answer stands for.

The document of v1.1.0 ("Error Handling") ties no ``error.code`` to a status, so a known code decides first,
in any letter case and wherever it stands in the answer.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.carriable import read_json, shorten
from airflow_provider_bitscale.api.limit.headers import parse_retry_after
from airflow_provider_bitscale.api.run_ids import helpful_headers

MAX_EXCERPT_LENGTH = 300

_BY_CODE: dict[str, type[errors.BitScaleError]] = {
    "INVALID_API_KEY": errors.AuthenticationError,
    "WORKSPACE_NOT_FOUND": errors.NotFoundError,
    "GRID_NOT_FOUND": errors.NotFoundError,
    "MISSING_REQUIRED_FIELD": errors.InvalidRequestError,
    "INVALID_COLUMN_TYPE": errors.InvalidRequestError,
    "RUN_LIMIT_EXCEEDED": errors.RunLimitExceededError,
    "INSUFFICIENT_CREDITS": errors.InsufficientCreditsError,
    errors.CODE_WEBHOOK_DELIVERY_FAILED: errors.InvalidRequestError,
    "FEATURE_DISABLED": errors.FeatureDisabledError,
    "MISSING_SOURCE": errors.MissingSourceError,
}
# What to change in BitScale.
_ADVICE = {
    errors.FeatureDisabledError: "The workspace's plan does not include this part of the API: change the "
    "plan, or ask BitScale to enable it.",
    errors.MissingSourceError: "Open the grid in BitScale and add a data source of the kind "
    '"BitScale API" to it.',
}
# What answers call a code, besides.
_CODE_NAMES = ("code", "error_code", "type", "error")
# Words in codes that are not documented, of answers that refuse for good.
_BY_WORD: tuple[tuple[str, type[errors.BitScaleError]], ...] = (
    ("CREDIT", errors.InsufficientCreditsError),
    ("PAYMENT", errors.InsufficientCreditsError),
    ("BILLING", errors.InsufficientCreditsError),
    ("QUOTA", errors.RunLimitExceededError),
    ("LIMIT_EXCEEDED", errors.RunLimitExceededError),
    ("LIMIT_REACHED", errors.RunLimitExceededError),
)
_STATUSES_OF_WORDS = (400, 402, 403, 409, 422)
_BY_STATUS: dict[int, type[errors.BitScaleError]] = {
    401: errors.AuthenticationError,
    402: errors.InsufficientCreditsError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    408: errors.TransportError,
    425: errors.TransportError,
    429: errors.RateLimitedError,
}


def from_response(
    request: str, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> errors.BitScaleError | None:
    """Turn an answer into the error it stands for, or None if it stands for none.

    A success stands for one only if its code is documented; whoever can read it otherwise does that first.

    :param request: method and path, for the message.
    :param now: Unix time, to read a Retry-After that is a date.
    """
    succeeded = 200 <= status < 300
    code, message = _code_and_message(body, only_known=succeeded)
    if succeeded and code is None:
        return None
    retry_after = parse_retry_after(headers.get("Retry-After"), time.time() if now is None else now)
    if code in _BY_CODE:
        kind = _BY_CODE[code]
    elif 300 <= status < 400:
        kind = errors.TransportError
        message = f"redirected to {headers.get('Location')!r}; redirects are not followed, check the base URL"
    elif status >= 500 or status < 200:
        kind = errors.ServerError
    else:
        kind = _by_word(status, code) or _BY_STATUS.get(status, errors.InvalidRequestError)
    message = message or "no message given"
    if kind in _ADVICE:
        message = f"{message.rstrip('.')}. {_ADVICE[kind]}"
    return kind(message, status=status, code=code, request=request, retry_after=retry_after)


def surely_refuses(code: str | None) -> bool:
    """Whether a code says that no run was started, whatever the status of the answer."""
    # The document does not say whether a run goes ahead whose webhook could not be delivered.
    return code in _BY_CODE and code != errors.CODE_WEBHOOK_DELIVERY_FAILED


def is_refusal(payload: Mapping[str, Any]) -> bool:
    """Whether the error in an answer says that no run was started."""
    return surely_refuses(_code_of(payload, only_known=True))


def excerpt(body: bytes, headers: Mapping[str, str] | None = None) -> str:
    """Return the keys and the beginning of an answer, for a person who looks for a run in it.

    :param body: without secrets.
    """
    payload = _read(body)
    told = "".join(f"; {name}: {shorten(value)}" for name, value in helpful_headers(headers or {}).items())
    return _excerpt(payload if isinstance(payload, dict) else {}, _text(body)) + told


def excerpt_of(payload: Mapping[str, Any]) -> str:
    """Return the same of an answer that has been read."""
    return _excerpt(payload, json.dumps(dict(payload), ensure_ascii=False, default=str))


def _excerpt(payload: Mapping[str, Any], text: str) -> str:
    keys = f"keys {', '.join(map(str, list(payload)[:20]))}; " if payload else ""
    return f"Answered: {keys}{shorten(text, MAX_EXCERPT_LENGTH) or 'nothing'}"


def _by_word(status: int, code: str | None) -> type[errors.BitScaleError] | None:
    if code is None or status not in _STATUSES_OF_WORDS:
        return None
    return next((kind for word, kind in _BY_WORD if word in code.upper()), None)


def _code_and_message(body: bytes, *, only_known: bool) -> tuple[str | None, str]:
    payload = _read(body)
    if not isinstance(payload, dict):
        return None, shorten(_text(body))
    code, error = _code_of(payload, only_known=only_known), _error_of(payload, only_known=only_known)
    if isinstance(error, dict):
        return code, shorten(str(error.get("message") or ""))
    message = payload.get("message")
    if not isinstance(message, str):
        message = error if isinstance(error, str) and error != code else _text(body)
    return code, shorten(message)


def _error_of(payload: Mapping[str, Any], *, only_known: bool) -> Any:
    if only_known and payload.get("run_id"):
        # A run that failed has an error too, and is an answer like any other.
        return None
    error = payload.get("error")
    if error is None and not only_known:
        return _first(payload.get("errors")) or payload.get("detail")
    return error


def _code_of(payload: Mapping[str, Any], *, only_known: bool) -> str | None:
    """Return the code, where it should be, or a documented one where it may have got to."""
    error = _error_of(payload, only_known=only_known)
    inner = error if isinstance(error, dict) else {}
    code = _code((inner or payload).get("code"), known=only_known)
    if code in _BY_CODE:
        return code
    places = [payload.get("code"), error]
    if not only_known:
        places += [told.get(name) for told in (inner, payload) for name in (*_CODE_NAMES, "message")]
    return next(filter(None, (_code(place, known=True) for place in places)), code)


def _first(items: Any) -> Any:
    return items[0] if isinstance(items, list) and items else None


def _read(body: bytes) -> Any:
    try:
        return read_json(body)
    except ValueError:
        return None


def _code(value: Any, *, known: bool = False) -> str | None:
    """Return a code as documented, in any letter case; another as it came, or None if only ``known``."""
    if not isinstance(value, str):
        return None
    documented = re.sub(r"[\s-]+", "_", value.strip()).upper()
    if documented in _BY_CODE:
        return documented
    return None if known else shorten(value)


def _text(body: bytes) -> str:
    return body.decode("utf-8", errors="replace")

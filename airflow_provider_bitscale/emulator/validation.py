"""Checks the body of a run request against a grid. Pure.

Once as v1.1.0 does it, with inputs by column id, and once with inputs by label.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_bitscale.emulator import errors
from airflow_provider_bitscale.emulator.seed import Grid

SYNC = "sync"
ASYNC = "async"

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2})?)"
    r"([.][0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".invalid")


@dataclass(frozen=True)
class ValidRunRequest:
    """A valid run request; ``webhook_url`` is None in sync mode, where it is ignored."""

    mode: str
    inputs: Mapping[str, Any]
    output_columns: tuple[str, ...] | None
    webhook_url: str | None


def parse_run_request(grid: Grid, content_type: str | None, body: bytes) -> ValidRunRequest:
    """Return the request in ``body``, checked against ``grid`` (document, endpoint 6 "Request Fields").

    :raises ApiError: 400 for a body that is not a JSON object, an unknown mode or a missing field; 422 for
        column ids the grid lacks, values of the wrong type, and a webhook URL that BitScale would not call.
    """
    document, mode = _run_document(content_type, body)
    inputs = _inputs(grid, document["inputs"])
    output_columns = _output_columns(grid, document, unknown=422)
    webhook_url = None
    if mode == ASYNC and "webhook_url" in document:
        webhook_url = _webhook_url(document["webhook_url"])
    return ValidRunRequest(mode, inputs, output_columns, webhook_url)


def parse_labelled_run_request(grid: Grid, content_type: str | None, body: bytes) -> ValidRunRequest:
    """Return the request in ``body``, with its inputs by column id instead of label.

    How the service treats a key that is not a label is not documented. Here the key is dropped, and the row
    runs on the rest and is paid for: the worst case for a client.

    :raises ApiError: 400 for a body that is not a JSON object with an object ``inputs``, an unknown mode, and
        output columns the grid lacks.
    """
    document, mode = _run_document(content_type, body)
    given = document["inputs"]
    if not isinstance(given, dict):
        _refuse(400, errors.INVALID_REQUEST, "inputs must be an object of labels and values")
    inputs = {
        column_id: _as_text(given[label])
        for label, column_id in grid.labels.items()
        if given.get(label) is not None
    }
    return ValidRunRequest(mode, inputs, _output_columns(grid, document, unknown=400), webhook_url=None)


def is_public_https_url(url: str) -> bool:
    """Whether BitScale would deliver to ``url``: https and a host that is neither local nor private."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        parts.port  # noqa: B018 - raises ValueError when it is no port number
    except ValueError:
        return False
    if parts.scheme != "https" or not host:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_SUFFIXES)


def _refuse(status: int, code: str, message: str) -> NoReturn:
    raise errors.ApiError(status, code, message)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _run_document(content_type: str | None, body: bytes) -> tuple[dict[str, Any], str]:
    """Return the body, which has ``inputs``, and its mode."""
    media_type = (content_type or "").split(";", 1)[0].strip().lower()
    if media_type != "application/json":
        _refuse(400, errors.INVALID_REQUEST, "Content-Type must be application/json")
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse(400, errors.INVALID_REQUEST, "the body is not valid JSON")
    if not isinstance(document, dict):
        _refuse(400, errors.INVALID_REQUEST, "the body must be a JSON object")
    mode = document.get("mode", SYNC)
    if not isinstance(mode, str) or mode not in {SYNC, ASYNC}:
        _refuse(400, errors.INVALID_REQUEST, "mode must be sync or async")
    if document.get("inputs") is None:
        _refuse(400, errors.MISSING_REQUIRED_FIELD, "inputs is required")
    return document, mode


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _inputs(grid: Grid, inputs: object) -> dict[str, Any]:
    if not isinstance(inputs, dict):
        _refuse(400, errors.INVALID_REQUEST, "inputs must be an object of column ids and values")
    for column_id in inputs:
        column = grid.by_id.get(column_id)
        if column is None:
            _refuse(422, errors.UNKNOWN_COLUMN, f"grid {grid.id} has no column {column_id}")
        if not column.is_input:
            _refuse(422, errors.UNKNOWN_COLUMN, f"column {column_id} ({column.name}) is not an input")
    for column in grid.columns:
        value = inputs.get(column.id)
        if column.required and (value is None or (isinstance(value, str) and not value.strip())):
            _refuse(400, errors.MISSING_REQUIRED_FIELD, f"column {column.id} ({column.name}) is required")
        if value is not None and column.is_input and not _TYPE_CHECKS[column.type](value):
            _refuse(
                422, errors.INVALID_COLUMN_TYPE, f"column {column.id} ({column.name}) must be a {column.type}"
            )
    return {column_id: value for column_id, value in inputs.items() if value is not None}


def _output_columns(grid: Grid, document: Mapping[str, Any], *, unknown: int) -> tuple[str, ...] | None:
    """Return the requested columns, None for all; ``unknown`` is the status for one the grid lacks."""
    if "output_columns" not in document:
        return None
    columns = document["output_columns"]
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        _refuse(400, errors.INVALID_REQUEST, "output_columns must be an array of column ids")
    for column in columns:
        if column not in grid.by_id:
            _refuse(unknown, errors.UNKNOWN_COLUMN, f"grid {grid.id} has no column {column}")
    return tuple(columns)


def _webhook_url(url: object) -> str:
    if not isinstance(url, str):
        _refuse(400, errors.INVALID_REQUEST, "webhook_url must be a string")
    if not is_public_https_url(url):
        _refuse(
            422, errors.WEBHOOK_DELIVERY_FAILED, "webhook_url must be a publicly reachable https:// address"
        )
    return url


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _is_email(value: object) -> bool:
    return isinstance(value, str) and _EMAIL.fullmatch(value) is not None


def _is_date(value: object) -> bool:
    if not isinstance(value, str):
        return False
    # The shape is matched here and only the calendar asked of datetime: what fromisoformat takes differs
    # between Python 3.10 and 3.11.
    try:
        if _DATE.fullmatch(value):
            date.fromisoformat(value)
            return True
        match = _DATE_TIME.fullmatch(value)
        if match is None:
            return False
        datetime.fromisoformat(f"{match['date']}T{match['time']}")
    except ValueError:
        return False
    return True


_TYPE_CHECKS: dict[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "number": _is_number,
    "url": _is_url,
    "email": _is_email,
    "date": _is_date,
    "boolean": lambda value: isinstance(value, bool),
}

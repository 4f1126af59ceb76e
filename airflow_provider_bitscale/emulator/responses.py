"""HTTP responses, and how a fault replaces one or alters its fields. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from airflow_provider_bitscale.emulator.errors import RATE_LIMIT_EXCEEDED, default_code, error_body
from airflow_provider_bitscale.emulator.faults import Fault, Stage

Headers = tuple[tuple[str, str], ...]

STORM_DATE_SECONDS = 2
"""How far ahead a ``storm`` with ``retry_after="http-date"`` points, in seconds."""

UNKNOWN_FIELD = "a_field_of_a_later_version"
"""The name of the field that ``extra_fields`` puts into every object."""

_JSON: Headers = (("Content-Type", "application/json"),)
_NULLABLE = ("avatar_url", "description", "started_at", "completed_at")

# Maps by column id, label or header: a further key would be a further column, not a further field.
_MAPS = ("outputs", "inputs", "headers")
_KEPT_UNDER_AN_UNKNOWN_STATUS = {"run_id", "started_at", "mode", "grid_id", "request_id"}


@dataclass(frozen=True)
class Response:
    """One HTTP response.

    :param cut_after: bytes of the body after which the connection is cut; None sends all.
    """

    status: int
    body: bytes
    headers: Headers = _JSON
    cut_after: int | None = None


def json_response(status: int, document: Any) -> Response:
    """Return ``document`` as an answer."""
    return Response(status, json.dumps(document, separators=(",", ":")).encode())


def error_response(status: int, code: str, message: str) -> Response:
    """Return an answer in the documented error shape."""
    return json_response(status, error_body(code, message))


def too_many_requests() -> Response:
    """Return the answer beyond the rate limit; the document gives 429 no code and no Retry-After."""
    return error_response(429, RATE_LIMIT_EXCEEDED, "Too many requests in this window.")


def instead_of_work(fault: Fault, now: float) -> Response | None:
    """Return the response of a fault that prevents the work; None cuts the connection."""
    assert fault.stage is Stage.INSTEAD  # noqa: S101 - a wrong stage is a bug of ours
    fields = fault.fields
    if fault.kind == "lost_request":
        return None
    if fault.kind == "redirect":
        return Response(fields["status"], b"", (("Location", fields["location"]),))
    if fault.kind == "storm":
        return _with_retry_after(too_many_requests(), fields["retry_after"], now)
    status = fields["status"]
    if fields["body"] is not None:
        response = Response(
            status,
            fields["body"].encode("utf-8", "surrogatepass"),
            (("Content-Type", "text/html; charset=utf-8"),),
        )
    else:
        message = fields["message"]
        response = error_response(
            status,
            fields["code"] or default_code(status),
            f"An injected {status}." if message is None else message,
        )
    return replace(response, headers=_overridden(response.headers, fields["headers"] or {}))


def after_work(fault: Fault, response: Response) -> Response | None:
    """Return the ``response`` to work that was done as a fault changes it; None cuts the connection."""
    assert fault.stage is Stage.AFTER  # noqa: S101 - a wrong stage is a bug of ours
    if fault.kind == "lost_answer":
        return None
    if fault.kind == "server_error_after_work":
        status = fault.fields["status"]
        return error_response(
            status, default_code(status), "Something went wrong after the request was handled."
        )
    if fault.kind == "empty":
        return replace(response, status=200, body=b"")
    if fault.kind == "array":
        return replace(response, status=200, body=b"[]")
    half = len(response.body) // 2
    if fault.kind == "half_json":
        return replace(response, body=response.body[:half])
    return replace(response, cut_after=half)


def alter_fields(document: dict[str, Any], faults: Sequence[Fault], null_until_true: Sequence[str]) -> Any:
    """Return ``document``, a successful answer, with the changes of the ``faults`` on its fields, in order.

    :param null_until_true: the fields that ``null_fields`` adds to a run's answer that lacks them.
    """
    for fault in faults:
        if isinstance(document, list):
            # It has no fields left to change.
            break
        if fault.kind == "reshape":
            document = _reshaped(document, fault.fields)
        elif fault.kind == "unknown_status":
            # A state the client does not know yet says nothing about results.
            kept = {name: value for name, value in document.items() if name in _KEPT_UNDER_AN_UNKNOWN_STATUS}
            document = {**kept, "status": fault.fields["value"]}
        elif fault.kind == "hostile_poll_url":
            if "poll_url" in document:
                document = {**document, "poll_url": fault.fields["url"]}
        elif fault.kind == "extra_fields":
            document = _in_every_object(document, _with_extra_field)
        else:
            document = _in_every_object(document, _with_nulls)
            if "status" in document:
                document = {**dict.fromkeys(null_until_true), **document}
    return document


def _reshaped(document: dict[str, Any], fields: Mapping[str, Any]) -> Any:
    reshaped: dict[str, Any] = {}
    for name, value in {**document, **fields["set"]}.items():
        if name in fields["drop"]:
            continue
        if name == "outputs" and fields["cells"] is not None and isinstance(value, dict):
            value = [_cell(fields["cells"], column_id, output) for column_id, output in value.items()]
        _put(reshaped, fields["rename"].get(name, name), value)
    if fields["wrap"] is not None:
        within: dict[str, Any] = {}
        _put(within, fields["wrap"], reshaped)
        reshaped = within
    return [reshaped] if fields["as_list"] else reshaped


def _cell(name: str, column_id: str, output: Any) -> dict[str, Any]:
    # Under workspace-key an output is an object already, with its value and the name of its column.
    return {name: column_id, **(output if isinstance(output, dict) else {"value": output})}


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    # Each dot in the path is an object within the one before.
    *parents, name = path.split(".")
    for parent in parents:
        inner = document.get(parent)
        # A copy, since outputs belong to the run.
        document[parent] = dict(inner) if isinstance(inner, dict) else {}
        document = document[parent]
    document[name] = value


def _with_retry_after(response: Response, retry_after: float | str | None, now: float) -> Response:
    if retry_after is None:
        return response
    value = (
        formatdate(math.ceil(now) + STORM_DATE_SECONDS, usegmt=True)
        if retry_after == "http-date"
        else str(retry_after)
    )
    return replace(response, headers=(*response.headers, ("Retry-After", value)))


def _overridden(headers: Headers, overrides: dict[str, str]) -> Headers:
    names = {name.lower() for name in overrides}
    return (*((name, value) for name, value in headers if name.lower() not in names), *overrides.items())


def _in_every_object(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_in_every_object(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {
        name: {key: _in_every_object(entry, change) for key, entry in item.items()}
        if name in _MAPS
        else _in_every_object(item, change)
        for name, item in value.items()
    }
    return change(inner)


def _with_extra_field(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, UNKNOWN_FIELD: {"since": "1.2.0"}}


def _with_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: None if name in _NULLABLE else value for name, value in fields.items()}

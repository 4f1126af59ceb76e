"""Pure: finds the object that holds a run in an answer, inside any wrappers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bitscale.api.fields import named, plain
from airflow_provider_bitscale.api.models import Json
from airflow_provider_bitscale.api.run_ids import ids, names_run
from airflow_provider_bitscale.api.run_outputs import holds_outputs
from airflow_provider_bitscale.api.run_statuses import has_documented_status, has_status

_WRAPPERS = ("data", "run", "request", "response", "payload", "result")
_MAX_WRAPPERS = 3


def opened(payload: Any, unexpected: list[str]) -> tuple[Json, list[Json]]:
    """Return the fields of a run, and the objects they came from, the fullest first.

    :raises ValueError: there is no object.
    """
    around: Json = {}
    layers: list[Json] = []
    for _ in range(_MAX_WRAPPERS):
        if isinstance(payload, list) and len(payload) == 1:
            unexpected.append("the answer is a list")
            payload = payload[0]
        elif isinstance(payload, Mapping) and (wrapper := _wrapper(payload)) is not None:
            unexpected.append(f"the run is wrapped in {wrapper!r}")
            outer = {name: value for name, value in payload.items() if name != wrapper}
            inner = _inner(payload[wrapper])
            if _is_run(payload, inner):
                # It is the run, but for its outputs.
                around, payload = {**around, **inner}, {k: v for k, v in outer.items() if v is not None}
                layers.append(inner)
            else:
                around, payload = {**around, **outer}, inner
                layers.insert(0, outer)
        else:
            break
    if not isinstance(payload, Mapping):
        raise ValueError(f"expected a JSON object, got {type(payload).__name__}")
    return {**around, **payload}, [payload, *layers]


def _wrapper(payload: Json) -> str | None:
    """Return the field that holds the run, or what is missing of it."""
    for name in payload:
        # Beside a status, a result is that of the run, and may hold columns of any name.
        if plain(name) not in _WRAPPERS or (plain(name) == "result" and has_status(payload)):
            continue
        inner = _inner(payload[name])
        if _is_run(payload, inner):
            found = holds_outputs(inner) and not holds_outputs(payload)
        else:
            found = (
                names_run(inner)
                or has_status(inner)
                or holds_outputs(inner)
                or (not names_run(payload) and any(ids(inner, named(inner, ("id",)))))
                or _wrapper(inner) is not None
            )
        if found:
            return name
    return None


def _is_run(payload: Json, inner: Json) -> bool:
    """Whether it is the run itself: its status stands beside outputs, or beside an id of no request.

    :param inner: what it may be wrapped around, which is the run if only that has a documented status.
    """
    if not has_status(payload) or holds_outputs(payload):
        return has_status(payload)
    in_envelope = has_documented_status(inner) and not has_documented_status(payload)
    return any(ids(payload, ["run_id"])) and not in_envelope


def _inner(value: Any) -> Json:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, Mapping) else {}

"""Pure: from the JSON that BitScale answers to the records of :mod:`airflow_provider_bitscale.api.models`.

Lenient where the document promises nothing, strict where an answer would be of no use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_provider_bitscale.api.models import (
    Column,
    ColumnType,
    Credits,
    Grid,
    GridSettings,
    Json,
    Number,
    Plan,
    Run,
    RunCredits,
    RunStatus,
    User,
    Workspace,
)


def parse_user(payload: Any) -> User:
    """Read a user.

    :raises ValueError: the payload is not a user, as for every parser here.
    """
    data = _object(payload)
    return User(
        id=_required_text(data, "id"),
        name=_text(data, "name"),
        email=_text(data, "email"),
        avatar_url=_text(data, "avatar_url"),
        created_at=_time(data, "created_at"),
        plan=_text(data, "plan"),
        raw=data,
    )


def parse_workspace(payload: Any) -> Workspace:
    """Read a workspace, listed or in detail."""
    data = _object(payload)
    members = _part(data, "members") or {}
    creator = _part(data, "created_by")
    return Workspace(
        id=_required_text(data, "id"),
        name=_text(data, "name"),
        created_at=_time(data, "created_at"),
        role=_text(data, "role"),
        member_count=_int(data, "member_count") if "member_count" in data else _int(members, "total"),
        admin_count=_int(members, "admins"),
        created_by=parse_user(creator) if creator and _text(creator, "id") else None,
        plan=_plan(_part(data, "plan")),
        credits=_credits(_part(data, "credits")),
        raw=data,
    )


def parse_workspaces(payload: Any) -> list[Workspace]:
    """Read the list of workspaces."""
    return [parse_workspace(item) for item in _items(payload, "workspaces")]


def parse_grid(payload: Any) -> Grid:
    """Read a grid, listed or in detail."""
    data = _object(payload)
    return Grid(
        id=_required_text(data, "id"),
        name=_text(data, "name"),
        description=_text(data, "description"),
        row_count=_int(data, "row_count"),
        column_count=_int(data, "column_count"),
        created_at=_time(data, "created_at"),
        updated_at=_time(data, "updated_at"),
        settings=_settings(_part(data, "settings")),
        columns=tuple(_column(item) for item in _items(data, "columns")) if data.get("columns") else (),
        raw=data,
    )


def parse_grids(payload: Any) -> list[Grid]:
    """Read the list of grids."""
    return [parse_grid(item) for item in _items(payload, "grids")]


def parse_run(payload: Any) -> Run:
    """Read a run; only its status is required."""
    data = _object(payload)
    status = _required_text(data, "status")
    return Run(
        run_id=_text(data, "run_id"),
        grid_id=_text(data, "grid_id"),
        mode=_text(data, "mode"),
        status=RunStatus(status),
        outputs=_part(data, "outputs"),
        credits=_run_credits(_part(data, "credits")),
        error=_error_text(data.get("error")),
        started_at=_time(data, "started_at"),
        completed_at=_time(data, "completed_at"),
        raw=data,
    )


def _plan(data: Json | None) -> Plan | None:
    if data is None:
        return None
    return Plan(_text(data, "name"), _number(data, "credits_included"), _time(data, "renewal_date"))


def _credits(data: Json | None) -> Credits | None:
    if data is None:
        return None
    return Credits(_number(data, "total"), _number(data, "used"), _number(data, "remaining"))


def _run_credits(data: Json | None) -> RunCredits | None:
    return None if data is None else RunCredits(_number(data, "consumed"), _number(data, "remaining"))


def _settings(data: Json | None) -> GridSettings | None:
    if data is None:
        return None
    return GridSettings(_int(data, "row_limit"), _bool(data, "auto_run"), _text(data, "visibility"))


def _column(payload: Any) -> Column:
    data = _object(payload)
    column_id = _required_text(data, "id")
    return Column(
        id=column_id,
        name=_text(data, "name") or column_id,
        type=ColumnType(data.get("type")),
        is_input=data.get("is_input") is True,
        is_output=data.get("is_output") is True,
        required=data.get("required") is True,
        raw=data,
    )


def _error_text(error: Any) -> str | None:
    # The document has a run's `error` field, but not its shape.
    if isinstance(error, Mapping):
        parts = [str(error[key]) for key in ("code", "message") if error.get(key)]
        return ": ".join(parts) or str(dict(error))
    return None if error is None else str(error)


def _object(payload: Any) -> Json:
    if not isinstance(payload, Mapping):
        raise ValueError(f"expected a JSON object, got {type(payload).__name__}")
    return payload


def _part(data: Json, key: str) -> Json | None:
    value = data.get(key)
    return value if isinstance(value, Mapping) else None


def _items(payload: Any, key: str) -> list[Any]:
    items = _object(payload).get(key)
    if not isinstance(items, list):
        raise ValueError(f"expected a list in {key!r}, got {type(items).__name__}")
    return items


def _required_text(data: Json, key: str) -> str:
    value = _text(data, key)
    if not value:
        raise ValueError(f"{key!r} is missing")
    return value


def _text(data: Json, key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _number(data: Json, key: str) -> Number | None:
    value = data.get(key)
    # JSON as Python reads it knows NaN and Infinity.
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (int, float)) else None


def _int(data: Json, key: str) -> int | None:
    value = _number(data, key)
    return int(value) if value is not None else None


def _bool(data: Json, key: str) -> bool | None:
    value = data.get(key)
    return value if isinstance(value, bool) else None


def _time(data: Json, key: str) -> datetime | None:
    text = _text(data, key)
    return parse_time(text) if text else None


def parse_time(text: str) -> datetime | None:
    """An ISO 8601 date or time, UTC where it does not say; None if it is none."""
    if not _ISO_8601.fullmatch(text):
        # What else datetime reads differs from one Python to the next.
        return None
    try:
        # Python 3.10 does not read the Z of the document's format.
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.(\d{3}|\d{6}))?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)

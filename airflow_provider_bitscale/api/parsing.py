"""Pure: parses JSON in the form of v1.1.0 into records (:mod:`airflow_provider_bitscale.api.models`).

Answers of another contract are first brought into this form. A run that crosses from the triggerer to a
worker has it, too (:meth:`Run.to_json`, with the names of its outputs added). Only fields without which a
record is of no use are required.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from airflow_provider_bitscale.api import fields, models
from airflow_provider_bitscale.api.carriable import shorten
from airflow_provider_bitscale.api.unexpected import tell_once

T = TypeVar("T")


def readable(items: Sequence[Any], parse: Callable[[Any], T]) -> list[T]:
    """Return the items of a list that can be read; what is wrong with others is logged once a process.

    :raises ValueError: none of them can be read.
    """
    read: list[T] = []
    problem: ValueError | None = None
    for item in items:
        try:
            read.append(parse(item))
        except ValueError as error:
            problem = error
            tell_once(f"an item of a list is left out: {error}")
    if problem is not None and not read:
        raise problem
    return read


def parse_user(payload: Any) -> models.User:
    """Read a user.

    :raises ValueError: the payload is not a user, as for every parser here.
    """
    data = fields.unwrapped(payload, "id")
    return models.User(
        id=fields.required_id(data, "id"),
        name=fields.text(data, "name"),
        email=fields.text(data, "email"),
        avatar_url=fields.text(data, "avatar_url"),
        created_at=fields.time(data, "created_at"),
        plan=fields.text(data, "plan"),
        raw=data,
    )


def parse_workspace(payload: Any) -> models.Workspace:
    """Read a workspace, listed or in detail. Its credits are worth reading without its id, too."""
    data = fields.unwrapped(payload, "id", "credits")
    creator = fields.part(data, "created_by")
    credits = _credits(fields.part(data, "credits"))
    return models.Workspace(
        id="" if credits is not None and not data.get("id") else fields.required_id(data, "id"),
        name=fields.text(data, "name"),
        created_at=fields.time(data, "created_at"),
        role=fields.text(data, "role"),
        members=_members(data),
        created_by=parse_user(creator) if creator and fields.text(creator, "id") else None,
        plan=_plan(fields.part(data, "plan")),
        credits=credits,
        raw=data,
    )


def parse_workspaces(payload: Any) -> list[models.Workspace]:
    """Read the list of workspaces."""
    return readable(fields.json_list(payload, "workspaces"), parse_workspace)


def parse_grid(payload: Any) -> models.Grid:
    """Read a grid, listed or in detail."""
    data = fields.unwrapped(payload, "id")
    return models.Grid(
        id=fields.required_id(data, "id"),
        name=fields.text(data, "name"),
        description=fields.text(data, "description"),
        row_count=fields.integer(data, "row_count"),
        column_count=fields.integer(data, "column_count"),
        created_at=fields.time(data, "created_at"),
        updated_at=fields.time(data, "updated_at"),
        settings=_settings(fields.part(data, "settings")),
        columns=tuple(readable(fields.json_list(data, "columns"), parse_column))
        if data.get("columns")
        else (),
        raw=data,
    )


def parse_grids(payload: Any) -> models.GridPage:
    """Read the list of grids, which is whole."""
    return models.GridPage(readable(fields.json_list(payload, "grids"), parse_grid), None)


def parse_run(payload: Any, raw: models.Json | None = None) -> models.Run:
    """Read a run in just this form; only its status is required. Answers: see ``run_answers``.

    :param raw: the answer as it came; None for the payload.
    """
    data = fields.json_object(payload)
    status = fields.required_text(data, "status")
    return models.Run(
        run_id=fields.text(data, "run_id"),
        grid_id=fields.text(data, "grid_id"),
        mode=fields.text(data, "mode"),
        status=models.RunStatus(status),
        outputs=fields.part(data, "outputs"),
        output_names=fields.part(data, "output_names") or {},
        credits=_run_credits(fields.part(data, "credits")),
        error=_error_text(data.get("error")),
        started_at=fields.time(data, "started_at"),
        completed_at=fields.time(data, "completed_at"),
        raw=data if raw is None else raw,
        reported_status=status,
    )


def _members(data: models.Json) -> models.Members | None:
    """Of a workspace in detail; one that is listed tells the total alone."""
    members = fields.part(data, "members")
    if members is None:
        total = fields.integer(data, "member_count")
        return None if total is None else models.Members(total, None, None, None)
    told = (fields.integer(members, name) for name in ("total", "owners", "admins", "editors"))
    return models.Members(*told)


def _plan(data: models.Json | None) -> models.Plan | None:
    if data is None:
        return None
    return models.Plan(
        fields.text(data, "name"), fields.number(data, "credits_included"), fields.time(data, "renewal_date")
    )


def _credits(data: models.Json | None) -> models.Credits | None:
    if data is None:
        return None
    return models.Credits(
        fields.number(data, "total"), fields.number(data, "used"), fields.number(data, "remaining")
    )


def _run_credits(data: models.Json | None) -> models.RunCredits | None:
    if data is None:
        return None
    return models.RunCredits(fields.cost(data, "consumed"), fields.amount(data, "remaining"))


def _settings(data: models.Json | None) -> models.GridSettings | None:
    if data is None:
        return None
    return models.GridSettings(
        fields.integer(data, "row_limit"), fields.boolean(data, "auto_run"), fields.text(data, "visibility")
    )


def parse_column(payload: Any) -> models.Column:
    """Read a column of a grid."""
    data = fields.json_object(payload)
    column_id = fields.required_id(data, "id")
    return models.Column(
        id=column_id,
        name=fields.text(data, "name") or column_id,
        type=models.ColumnType(data.get("type")),
        is_input=data.get("is_input") is True,
        is_output=data.get("is_output") is True,
        required=data.get("required") is True,
        raw=data,
    )


def _error_text(error: Any) -> str | None:
    # The document has a run's `error` field, but not its shape.
    if isinstance(error, Mapping):
        parts = [str(error[key]) for key in ("code", "message") if error.get(key)]
        return shorten(": ".join(parts) or str(dict(error)))
    return None if error is None else shorten(str(error))

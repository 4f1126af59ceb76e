"""What BitScale answers, as frozen records: the same ones for both contracts.

Endpoints are numbered as in the document of v1.1.0. Absent and null fields are None. Unknown fields and
values are tolerated; ``raw`` keeps the answer as it came. Times are timezone-aware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

Number: TypeAlias = "int | float"
Json: TypeAlias = "Mapping[str, Any]"


class RunStatus(str, Enum):
    """Run Status Values, in any letter case. Any other is ``UNKNOWN``: neither success nor failure."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in (RunStatus.COMPLETED, RunStatus.FAILED)

    @classmethod
    def _missing_(cls, value: object) -> RunStatus:
        word = value.strip().lower() if isinstance(value, str) else ""
        return next((status for status in cls if status.value == word), cls.UNKNOWN)


class ColumnType(str, Enum):
    """Column Types of either contract. Any other type is ``UNKNOWN``."""

    TEXT = "text"
    NUMBER = "number"
    URL = "url"
    EMAIL = "email"
    DATE = "date"
    BOOLEAN = "boolean"
    AI_ENRICHMENT = "ai_enrichment"
    FORMULA = "formula"
    ENRICHMENT = "enrichment"
    MERGE = "merge"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> ColumnType:
        return cls.UNKNOWN


@dataclass(frozen=True)
class User:
    """Endpoint 1, Get Current User."""

    id: str
    name: str | None
    email: str | None
    avatar_url: str | None
    created_at: datetime | None
    plan: str | None
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True)
class Credits:
    """Credits of a workspace in the current billing cycle."""

    total: Number | None
    used: Number | None
    remaining: Number | None

    def to_json(self) -> dict[str, Any]:
        """``{total, used, remaining}``."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """The subscription of a workspace; ``credits_included`` is per billing cycle."""

    name: str | None
    credits_included: Number | None
    renewal_date: datetime | None


@dataclass(frozen=True)
class Members:
    """How many people are members of a workspace, in all and by role; None for what is not told."""

    total: int | None
    owners: int | None
    admins: int | None
    editors: int | None


@dataclass(frozen=True)
class Workspace:
    """Endpoint 2, List Workspaces (role, members.total) and endpoint 3, Get Workspace Details (the rest).

    ``id`` is empty where the answer has credits and no id.
    """

    id: str
    name: str | None
    created_at: datetime | None
    role: str | None
    members: Members | None
    created_by: User | None
    plan: Plan | None
    credits: Credits | None
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True)
class Column:
    """A column of a grid. Its ``id`` is the key in ``output_columns``, and under v1.1.0 in ``inputs``.

    Only v1.1.0 tells what is an input, an output, and required.
    """

    id: str
    name: str
    type: ColumnType
    is_input: bool
    is_output: bool
    required: bool
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True)
class GridSettings:
    """Settings of a grid; ``row_limit`` in rows, ``visibility`` workspace, private or public."""

    row_limit: int | None
    auto_run: bool | None
    visibility: str | None


@dataclass(frozen=True)
class Grid:
    """Endpoint 4, List Grids (column_count) and endpoint 5, Get Grid Details (settings and columns)."""

    id: str
    name: str | None
    description: str | None
    row_count: int | None
    column_count: int | None
    created_at: datetime | None
    updated_at: datetime | None
    settings: GridSettings | None
    columns: tuple[Column, ...]
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True)
class GridPage:
    """A page of a list of grids.

    ``total`` counts the whole list, and is None where the answer does not. ``left_out`` counts what was on
    the page and cannot be read.
    """

    grids: list[Grid]
    total: int | None
    left_out: int = 0


@dataclass(frozen=True)
class RunRecipe:
    """What a run of a grid takes, under the contract ``workspace-key``.

    ``inputs`` are the labels that key the inputs of a run. ``output_columns`` are what it can give.
    """

    grid_id: str | None
    grid_name: str | None
    inputs: tuple[str, ...]
    output_columns: tuple[Column, ...]
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True)
class RunCredits:
    """Credits deducted for a run, and those left in the workspace after it."""

    consumed: Number | None
    remaining: Number | None


@dataclass(frozen=True)
class Run:
    """Endpoint 6, Run a Grid: the answer to the POST, to a poll, and a webhook's payload.

    ``run_id`` is None for a synchronous run that was answered when it had ended. ``outputs`` maps column ids
    to values; None for a completed run means that they cannot be read. ``error`` is there when the status is
    failed. ``output_names`` has the names of those columns whose name came with the answer. ``credits`` is
    None where the answer has none. ``reported_status`` is the status as BitScale wrote it. ``unexpected``
    says in words what was spelled otherwise than documented, and read all the same, and ``id_is_documented``
    whether the id was told as documented.
    """

    run_id: str | None
    grid_id: str | None
    mode: str | None
    status: RunStatus
    outputs: Json | None
    output_names: Mapping[str, str]
    credits: RunCredits | None
    error: str | None
    started_at: datetime | None
    completed_at: datetime | None
    raw: Json = field(repr=False, compare=False)
    reported_status: str = field(default="unknown", compare=False)
    unexpected: tuple[str, ...] = field(default=(), compare=False)
    id_is_documented: bool = field(default=True, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the run as v1.1.0 has it, without unknown fields; ``parsing.parse_run`` reads it."""
        return {
            "run_id": self.run_id,
            "grid_id": self.grid_id,
            "mode": self.mode,
            # As documented, where it was spelled otherwise and understood.
            "status": self.reported_status if self.status is RunStatus.UNKNOWN else self.status.value,
            "outputs": None if self.outputs is None else dict(self.outputs),
            "output_names": dict(self.output_names),
            "credits": self.credits
            and {"consumed": self.credits.consumed, "remaining": self.credits.remaining},
            "error": self.error,
            "started_at": self.started_at and self.started_at.isoformat(),
            "completed_at": self.completed_at and self.completed_at.isoformat(),
        }

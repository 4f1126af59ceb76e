"""The demo account: one user, three workspaces, three grids. Ids and examples are those of the document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_bitscale.emulator.answers import Answer, joined, one_of, profile_url, work_email

API_KEY = "bitscale-emulator-api-key-4c9f1b7de2a84f03b6d5a1c8e7f29035"
WEBHOOK_SECRET = "bitscale-emulator-webhook-secret-8d27c6f0a1e94b35"  # noqa: S105 - opens nothing but this toy
WORKSPACE_ID = "ws_abc123"
OTHER_WORKSPACE_ID = "ws_def456"
FOREIGN_WORKSPACE_ID = "ws_ghi789"
GRID_ID = "grid_001"

FULL_NAME = "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890"
COMPANY = "7c2b0f4a-1d3e-4a9c-b567-de8f90ab1234"
EMPLOYEES = "5d1e8a90-3c2f-4b76-9e01-a7b8c9d0e1f2"
WEBSITE = "6e2f9ba1-4d30-4c87-8f12-b8c9d0e1f203"
KNOWN_EMAIL = "7f30acb2-5e41-4d98-9023-c9d0e1f20314"
LAST_CONTACT = "8041bdc3-6f52-4ea9-a134-d0e1f2031425"
IS_CUSTOMER = "9152ced4-7063-4fba-b245-e1f203142536"
ENRICHED_EMAIL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
LINKEDIN_URL = "b2c3d4e5-f6a7-8901-bcde-f12345678901"
LABEL = "c3d4e5f6-a7b8-4012-8def-123456789012"

_USER = {"id": "usr_abc123", "name": "Jane Doe", "email": "jane.doe@company.com"}
USER: dict[str, Any] = {
    **_USER,
    "avatar_url": "https://cdn.bitscale.ai/avatars/usr_abc123.png",
    "created_at": "2024-01-15T08:30:00Z",
    "plan": "enterprise",
}


@dataclass(frozen=True)
class Column:
    """One column of a grid; ``answer`` computes the value of those that are not inputs."""

    id: str
    name: str
    type: str
    is_input: bool = False
    is_output: bool = False
    required: bool = False
    answer: Answer | None = None

    def document(self) -> dict[str, Any]:
        """Return the column as endpoint 5 shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "is_input": self.is_input,
            "is_output": self.is_output,
            "required": self.required,
        }


@dataclass(frozen=True)
class Grid:
    """One grid and the workspace it lives in."""

    id: str
    workspace_id: str
    name: str
    description: str
    row_count: int
    created_at: str
    updated_at: str
    columns: tuple[Column, ...]
    by_id: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {column.id: column for column in self.columns})

    def summary(self) -> dict[str, Any]:
        """Return the grid as endpoint 4 lists it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "row_count": self.row_count,
            "column_count": len(self.columns),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def document(self) -> dict[str, Any]:
        """Return the grid as endpoint 5 shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "settings": {"row_limit": 5000, "auto_run": False, "visibility": "workspace"},
            "columns": [column.document() for column in self.columns],
            "row_count": self.row_count,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class Workspace:
    """One workspace; ``role`` is None where the demo user is no member."""

    id: str
    name: str
    role: str | None
    members: int
    admins: int
    created_at: str
    plan: str
    credits_included: int

    def summary(self) -> dict[str, Any]:
        """Return the workspace as endpoint 2 lists it."""
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "member_count": self.members,
            "created_at": self.created_at,
        }

    def document(self, credits: dict[str, int]) -> dict[str, Any]:
        """Return the workspace as endpoint 3 shows it, with its ``credits`` of this moment."""
        return {
            "id": self.id,
            "name": self.name,
            "created_at": self.created_at,
            "created_by": dict(_USER),
            "plan": {
                "name": self.plan,
                "credits_included": self.credits_included,
                "renewal_date": "2026-04-01T00:00:00Z",
            },
            "credits": credits,
            "members": {"total": self.members, "admins": self.admins},
        }


def _text(id: str, name: str, *, required: bool = False) -> Column:
    return Column(id, name, "text", is_input=True, required=required)


def _enriched(id: str, name: str, answer: Answer) -> Column:
    return Column(id, name, "ai_enrichment", is_output=True, answer=answer)


WORKSPACES = (
    Workspace(
        WORKSPACE_ID, "Acme Corp — Sales", "admin", 12, 2, "2024-02-01T10:00:00Z", "Enterprise", 100_000
    ),
    Workspace(
        OTHER_WORKSPACE_ID, "Acme Corp — Marketing", "member", 5, 1, "2024-03-10T14:20:00Z", "Growth", 20_000
    ),
    Workspace(FOREIGN_WORKSPACE_ID, "Globex", None, 3, 1, "2024-05-02T09:15:00Z", "Starter", 5_000),
)

_PERSON = "d4e5f6a7-b8c9-4123-8ef0-234567890123"
_EMPLOYER = "e5f6a7b8-c9d0-4234-8f01-345678901234"
_DOMAIN = "f6a7b8c9-d0e1-4345-8012-456789012345"

GRIDS = (
    Grid(
        id=GRID_ID,
        workspace_id=WORKSPACE_ID,
        name="Lead Enrichment — Q1",
        description="Enriches inbound leads with company and contact data.",
        row_count=1500,
        created_at="2024-04-01T09:00:00Z",
        updated_at="2024-04-15T11:30:00Z",
        columns=(
            _text(FULL_NAME, "Full Name", required=True),
            _text(COMPANY, "Company"),
            Column(EMPLOYEES, "Employees", "number", is_input=True),
            Column(WEBSITE, "Website", "url", is_input=True),
            Column(KNOWN_EMAIL, "Known Email", "email", is_input=True),
            Column(LAST_CONTACT, "Last Contact", "date", is_input=True),
            Column(IS_CUSTOMER, "Is Customer", "boolean", is_input=True),
            _enriched(ENRICHED_EMAIL, "Enriched Email", work_email(FULL_NAME, COMPANY)),
            _enriched(LINKEDIN_URL, "LinkedIn URL", profile_url(FULL_NAME)),
            Column(LABEL, "Label", "formula", answer=joined(FULL_NAME, COMPANY)),
        ),
    ),
    # Names are no keys: two columns here share one, as BitScale allows.
    Grid(
        id="grid_002",
        workspace_id=WORKSPACE_ID,
        name="Account Research",
        description="Sizes up a company before the first call.",
        row_count=240,
        created_at="2024-06-03T08:00:00Z",
        updated_at="2024-07-19T16:45:00Z",
        columns=(
            _text(_DOMAIN, "Domain", required=True),
            _text("07b8c9d0-e1f2-4456-8123-567890123456", "Contact"),
            _text("18c9d0e1-f203-4567-8234-678901234567", "Contact"),
            _enriched(
                "29d0e1f2-0314-4678-8345-789012345678",
                "Size",
                one_of(_DOMAIN, "1-10", "11-50", "51-200", "201-1000", "1001+"),
            ),
        ),
    ),
    Grid(
        id="grid_003",
        workspace_id=OTHER_WORKSPACE_ID,
        name="Event Attendees",
        description="Finds work addresses of people met at events.",
        row_count=310,
        created_at="2024-05-20T12:00:00Z",
        updated_at="2024-05-28T07:30:00Z",
        columns=(
            _text(_PERSON, "Full Name", required=True),
            _text(_EMPLOYER, "Company"),
            _enriched("3ae1f203-1425-4789-8456-890123456789", "Work Email", work_email(_PERSON, _EMPLOYER)),
        ),
    ),
)

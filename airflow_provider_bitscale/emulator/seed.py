"""The demo account: one user, three workspaces, three grids, the same under every contract.

Ids and examples are those of the document of v1.1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_bitscale.emulator.fake_values import FakeValue, joined, one_of, profile_url, work_email

API_KEY = "bitscale-emulator-api-key-4c9f1b7de2a84f03b6d5a1c8e7f29035"
WORKSPACE_KEY = "sk-live-bitscale-emulator-opens-nothing-5e0b7d2c94a1"
WEBHOOK_SECRET = "bitscale-emulator-webhook-secret-8d27c6f0a1e94b35"  # noqa: S105 - opens nothing but this toy
WORKSPACE_ID = "ws_abc123"
OTHER_WORKSPACE_ID = "ws_def456"
FOREIGN_WORKSPACE_ID = "ws_ghi789"
GRID_ID = "grid_001"

AI_ENRICHMENT = "ai_enrichment"

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

RENEWAL_DATE = "2026-04-01T00:00:00Z"
USER: dict[str, Any] = {
    "id": "usr_abc123",
    "name": "Jane Doe",
    "email": "jane.doe@company.com",
    "avatar_url": "https://cdn.bitscale.ai/avatars/usr_abc123.png",
    "created_at": "2024-01-15T08:30:00Z",
    "plan": "enterprise",
}


@dataclass(frozen=True)
class Column:
    """One column of a grid.

    :param fake_value: computes the value in a run; None for input columns.
    """

    id: str
    name: str
    type: str
    is_input: bool = False
    is_output: bool = False
    required: bool = False
    fake_value: FakeValue | None = None

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The ids of the input columns that its value is made from."""
        return () if self.fake_value is None else self.fake_value.needs


@dataclass(frozen=True)
class Grid:
    """One grid and the workspace it lives in.

    :param source_id: of its "BitScale API" data source, which a run with inputs by label needs.
    """

    id: str
    workspace_id: str
    name: str
    description: str | None
    row_count: int
    created_at: str
    updated_at: str
    columns: tuple[Column, ...]
    source_id: str | None = None

    @cached_property
    def by_id(self) -> dict[str, Column]:
        """All columns."""
        return {column.id: column for column in self.columns}

    @cached_property
    def labels(self) -> dict[str, str]:
        """From the label to the id of each input column."""
        labels: dict[str, str] = {}
        for column in self.columns:
            if not column.is_input:
                continue
            label = plain = re.sub(r"[^a-z0-9]+", "_", column.name.lower()).strip("_")
            ordinal = 1
            while label in labels:
                ordinal += 1
                label = f"{plain}_{ordinal}"
            labels[label] = column.id
        return labels


@dataclass(frozen=True)
class Workspace:
    """One workspace; ``role`` is None if the demo user is not a member."""

    id: str
    name: str
    role: str | None
    members: int
    admins: int
    created_at: str
    plan: str
    credits_included: int


def _text(id: str, name: str, *, required: bool = False) -> Column:
    return Column(id, name, "text", is_input=True, required=required)


def _enriched(id: str, name: str, fake_value: FakeValue) -> Column:
    return Column(id, name, AI_ENRICHMENT, is_output=True, fake_value=fake_value)


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
        source_id="4bf2a314-2536-4890-8567-901234567890",
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
            Column(LABEL, "Label", "formula", fake_value=joined(FULL_NAME, COMPANY)),
        ),
    ),
    # Two columns here share a name, as BitScale allows.
    Grid(
        id="grid_002",
        workspace_id=WORKSPACE_ID,
        name="Account Research",
        description="Sizes up a company before the first call.",
        row_count=240,
        created_at="2024-06-03T08:00:00Z",
        updated_at="2024-07-19T16:45:00Z",
        source_id="5c03b425-3647-49a1-8678-012345678901",
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
        source_id="6d14c536-4758-4ab2-8789-123456789012",
        columns=(
            _text(_PERSON, "Full Name", required=True),
            _text(_EMPLOYER, "Company"),
            _enriched("3ae1f203-1425-4789-8456-890123456789", "Work Email", work_email(_PERSON, _EMPLOYER)),
        ),
    ),
)


def extra_grids(count: int) -> tuple[Grid, ...]:
    """Return ``count`` grids of the demo workspace without rows, data source or description."""
    return tuple(
        Grid(
            id=f"grid_extra_{number}",
            workspace_id=WORKSPACE_ID,
            name=f"Extra Grid {number}",
            description=None,
            row_count=0,
            created_at="2024-08-01T08:00:00Z",
            updated_at="2024-08-01T08:00:00Z",
            columns=(_text(f"7e25d647-5869-4bc3-889a-{number:012d}", "Note"),),
        )
        for number in range(1, count + 1)
    )

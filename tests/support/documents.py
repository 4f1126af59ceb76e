"""The example answers of the API document, as they stand there."""

from __future__ import annotations

from typing import Any

USER: dict[str, Any] = {
    "id": "usr_abc123",
    "name": "Jane Doe",
    "email": "jane.doe@company.com",
    "avatar_url": "https://cdn.bitscale.ai/avatars/usr_abc123.png",
    "created_at": "2024-01-15T08:30:00Z",
    "plan": "enterprise",
}
WORKSPACES: dict[str, Any] = {
    "workspaces": [
        {
            "id": "ws_abc123",
            "name": "Acme Corp — Sales",
            "role": "admin",
            "member_count": 12,
            "created_at": "2024-02-01T10:00:00Z",
        },
        {
            "id": "ws_def456",
            "name": "Acme Corp — Marketing",
            "role": "member",
            "member_count": 5,
            "created_at": "2024-03-10T14:20:00Z",
        },
    ],
    "total": 2,
}
WORKSPACE: dict[str, Any] = {
    "id": "ws_abc123",
    "name": "Acme Corp — Sales",
    "created_at": "2024-02-01T10:00:00Z",
    "created_by": {"id": "usr_abc123", "name": "Jane Doe", "email": "jane.doe@company.com"},
    "plan": {"name": "Enterprise", "credits_included": 100000, "renewal_date": "2026-04-01T00:00:00Z"},
    "credits": {"total": 100000, "used": 34200, "remaining": 65800},
    "members": {"total": 12, "admins": 2},
}
GRIDS: dict[str, Any] = {
    "grids": [
        {
            "id": "grid_001",
            "name": "Lead Enrichment — Q1",
            "description": "Enriches inbound leads with company and contact data.",
            "row_count": 1500,
            "column_count": 12,
            "created_at": "2024-04-01T09:00:00Z",
            "updated_at": "2024-04-15T11:30:00Z",
        }
    ],
    "total": 1,
}
FULL_NAME = "3f7a1c2e-9b4d-4e8f-a012-bc3d56ef7890"
COMPANY = "7c2b0f4a-1d3e-4a9c-b567-de8f90ab1234"
EMAIL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
LINKEDIN = "b2c3d4e5-f6a7-8901-bcde-f12345678901"


def _column(id: str, name: str, type: str, *, is_input: bool, required: bool = False) -> dict[str, Any]:
    return {
        "id": id,
        "name": name,
        "type": type,
        "is_input": is_input,
        "is_output": not is_input,
        "required": required,
    }


GRID: dict[str, Any] = {
    "id": "grid_001",
    "name": "Lead Enrichment — Q1",
    "description": "Enriches inbound leads with company and contact data.",
    "settings": {"row_limit": 5000, "auto_run": False, "visibility": "workspace"},
    "columns": [
        _column(FULL_NAME, "Full Name", "text", is_input=True, required=True),
        _column(COMPANY, "Company", "text", is_input=True),
        _column(EMAIL, "Enriched Email", "ai_enrichment", is_input=False),
    ],
    "row_count": 1500,
    "created_at": "2024-04-01T09:00:00Z",
    "updated_at": "2024-04-15T11:30:00Z",
}
_ENDED: dict[str, Any] = {
    "status": "completed",
    "outputs": {
        FULL_NAME: "Jane Doe",
        COMPANY: "Acme Corp",
        EMAIL: "jane.doe@acmecorp.com",
        LINKEDIN: "https://linkedin.com/in/janedoe",
    },
    "credits": {"consumed": 12, "remaining": 65788},
}
SYNC_RUN: dict[str, Any] = {"mode": "sync", **_ENDED}
ACCEPTED_RUN: dict[str, Any] = {
    "mode": "async",
    "run_id": "run_xyz789",
    "status": "queued",
    "poll_url": "https://api.bitscale.ai/api/v1/grids/grid_001/runs/run_xyz789",
}
POLLED_RUN: dict[str, Any] = {
    "run_id": "run_xyz789",
    **_ENDED,
    "started_at": "2024-04-15T12:00:00Z",
    "completed_at": "2024-04-15T12:00:04Z",
}
WEBHOOK_RUN: dict[str, Any] = {"grid_id": "grid_001", **POLLED_RUN}

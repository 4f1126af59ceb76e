"""Answers under the contract workspace-key, as far as public sources describe them."""

from __future__ import annotations

from typing import Any

GRID_ID = "5b0c9a34-1f7e-4f0a-9a57-2f6d8f0c1e11"
REQUEST_ID = "0f9d3c52-7a41-4b6e-8f57-3e5b1d2c4a66"
EMAIL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
LINKEDIN = "b2c3d4e5-f6a7-8901-bcde-f12345678901"

WORKSPACE: dict[str, Any] = {
    "id": "0c8e8f0a-5f6e-4b33-9d2f-5c1de6f1a001",
    "name": "Acme Corp",
    "plan": {
        "name": "Growth",
        "credits_included": 20000,
        "billing_interval": "month",
        "next_billing_date": "2026-12-01T00:00:00Z",
        "price": 349,
    },
    "credits": {
        "total": 21000,
        "used": 1000,
        "remaining": 20000,
        "plan_credits": 20000,
        "rollover": 1000,
        "topup": 0,
    },
    "people_company_searches": {"limit": 500, "used": 3, "remaining": 497},
    "members": {"total": 4, "owners": 1, "admins": 1, "editors": 2},
}
LISTED_GRID: dict[str, Any] = {
    "id": GRID_ID,
    "name": "Leads",
    "description": None,
    "row_count": 12,
    "column_count": 4,
    "created_at": "2026-04-01T09:00:00Z",
    "updated_at": "2026-04-15T11:30:00Z",
    "columns": [{"id": EMAIL, "name": "Email", "type": "enrichment", "dependencies": ["c-name"]}],
}
GRID: dict[str, Any] = {
    "id": GRID_ID,
    "name": "Leads",
    "description": None,
    "row_count": 12,
    "created_at": "2026-04-01T09:00:00Z",
    "updated_at": "2026-04-15T11:30:00Z",
    "settings": {
        "auto_run": False,
        "auto_dedupe": True,
        "visibility": "workspace",
        "dedupe_column_id": None,
    },
    "columns": [
        {"id": "c-name", "name": "Full Name", "type": "text"},
        {"key": EMAIL, "name": "Email", "type": "enrichment"},
        {"id": LINKEDIN, "name": "LinkedIn", "type": "merge"},
        {"id": "c-score", "name": "Score", "type": "oracle"},
    ],
    "sources": [{"id": "s-1", "type": "api", "name": "BitScale API"}],
}
RECIPE: dict[str, Any] = {
    "grid_id": GRID_ID,
    "grid_name": "Leads",
    "run_url": f"https://api.bitscale.ai/api/v1/grids/{GRID_ID}/run",
    "method": "POST",
    "headers": {"X-API-KEY": "YOUR_WORKSPACE_API_KEY"},
    "request_body": {"mode": "sync", "inputs": {"full_name": "", "company_name": ""}},
    "output_columns": [{"id": EMAIL, "name": "Email", "type": "enrichment"}],
    "curl": "curl -X POST ...",
}
RUNNING: dict[str, Any] = {
    "mode": "async",
    "status": "running",
    "request_id": REQUEST_ID,
    "poll_url": f"https://api.bitscale.ai/api/v1/run/status/{REQUEST_ID}",
}
COMPLETED: dict[str, Any] = {
    "mode": "async",
    "status": "completed",
    "grid_id": GRID_ID,
    "outputs": {
        EMAIL: {"value": "jane.doe@acme.com", "name": "Email"},
        LINKEDIN: {"value": None, "name": "LinkedIn"},
    },
}
SYNC_RUN: dict[str, Any] = {"mode": "sync", "status": "completed", "outputs": COMPLETED["outputs"]}

"""The documents that the contract with workspace keys answers with: pure functions of world and time."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from airflow_provider_bitscale.emulator.runs import COMPLETED, FAILED, RUNNING, Run
from airflow_provider_bitscale.emulator.seed import AI_ENRICHMENT, RENEWAL_DATE, Column, Grid, Workspace
from airflow_provider_bitscale.emulator.state import World
from airflow_provider_bitscale.emulator.validation import SYNC

_OWNERS = 1
_SEARCHES = {"limit": 1000, "used": 120, "remaining": 880}


def workspace_document(workspace: Workspace, credits: dict[str, int]) -> dict[str, Any]:
    """Return a workspace with its plan, ``credits`` and members."""
    return {
        "id": workspace.id,
        "name": workspace.name,
        "plan": {
            "name": workspace.plan,
            "credits_included": workspace.credits_included,
            "billing_interval": "monthly",
            "next_billing_date": RENEWAL_DATE,
            "price": 1999,
        },
        "credits": {
            **credits,
            "plan_credits": workspace.credits_included,
            "rollover": 0,
            "topup": credits["total"] - workspace.credits_included,
        },
        "people_company_searches": dict(_SEARCHES),
        "members": {
            "total": workspace.members,
            "owners": _OWNERS,
            "admins": workspace.admins,
            "editors": workspace.members - workspace.admins - _OWNERS,
        },
    }


def grid_document(world: World, grid: Grid) -> dict[str, Any]:
    """Return one grid: settings, all columns, sources."""
    source = {"id": grid.source_id, "name": "BitScale API", "schedule": None}
    return {
        "id": grid.id,
        "name": grid.name,
        "description": grid.description,
        "row_count": _row_count(world, grid),
        "settings": {
            "auto_run": False,
            "auto_dedupe": False,
            "visibility": "workspace",
            "dedupe_column_id": None,
        },
        "columns": [column_document(column) for column in grid.columns],
        "sources": [] if grid.source_id is None else [source],
        "created_at": grid.created_at,
        "updated_at": grid.updated_at,
    }


def runnable_columns(grid: Grid) -> list[Column]:
    """Return the columns that a run gives a value."""
    return [column for column in grid.columns if column.fake_value is not None]


def answer_run(world: World, run: Run, base_url: str, now: float) -> dict[str, Any]:
    """Return the answer to a run request: the result if a sync run has ended, else where to poll for it."""
    if run.request.mode == SYNC and run.ended(now):
        return run_document(world, run, now)
    return {
        "mode": run.request.mode,
        "status": RUNNING,
        "request_id": run.run_id,
        "poll_url": f"{base_url}/run/status/{run.run_id}",
    }


def column_document(column: Column) -> dict[str, Any]:
    """Return a column; the API has fewer types than a grid."""
    shown_type = "text" if column.is_input else "enrichment" if column.type == AI_ENRICHMENT else column.type
    return {"id": column.id, "name": column.name, "type": shown_type}


def grid_summary(world: World, grid: Grid) -> dict[str, Any]:
    """Return a grid as the list shows it, with the columns that can run."""
    return {
        "id": grid.id,
        "name": grid.name,
        "description": grid.description,
        "row_count": _row_count(world, grid),
        "column_count": len(grid.columns),
        "created_at": grid.created_at,
        "updated_at": grid.updated_at,
        "columns": [
            {**column_document(column), "dependencies": list(column.dependencies)}
            for column in runnable_columns(grid)
        ],
    }


def curl(url: str, headers: Mapping[str, str], body: object) -> str:
    """Return the command line of a run recipe."""
    lines = [f"curl -X POST {shlex.quote(url)}"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    lines.append(f"-d {shlex.quote(json.dumps(body))}")
    return " \\\n  ".join(lines)


def run_document(world: World, run: Run, now: float) -> dict[str, Any]:
    """Return a run as it is at ``now``; this contract has no state before running."""
    status = run.status(now) if run.ended(now) else RUNNING
    document: dict[str, Any] = {"mode": run.request.mode, "status": status}
    if status == FAILED:
        document["message"] = run.failure
    elif status == COMPLETED:
        columns = world.grids[run.grid_id].by_id
        document["outputs"] = {
            column_id: {"value": "" if value is None else value, "name": columns[column_id].name}
            for column_id, value in run.outputs.items()
            if run.request.output_columns is not None or not columns[column_id].is_input
        }
    return document


def _row_count(world: World, grid: Grid) -> int:
    return grid.row_count + world.runs_of_grid[grid.id]

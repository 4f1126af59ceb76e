"""Runs that were submitted with a webhook, and runs that were delivered, as asset events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

from airflow_provider_bitscale.webhooks.assets import DELIVERY

if TYPE_CHECKING:
    from airflow.sdk import Context

# The outlet of tasks that submit: which connection's asset an event is for may be known only when they run.
SUBMITTED_RUNS = AssetAlias(name="bitscale_submitted", group="bitscale")
_RUN_ID = "bitscale_run_id"
_GRID_ID = "bitscale_grid_id"
_PAGE = 500


def submitted_runs_asset(bitscale_conn_id: str) -> Asset:
    """Return the asset that has an event for each run that was submitted with a webhook.

    One for all grids, so that the API server can create it before there is an event: see
    :func:`~airflow_provider_bitscale.webhooks.notify_dags.create_submission_assets`.
    """
    return Asset(name=f"bitscale_submitted/{bitscale_conn_id}", group="bitscale")


def note_submission(context: Context, run_id: str, grid_id: str, bitscale_conn_id: str) -> None:
    """Have Airflow record that a run was submitted, together with the success of the task."""
    extra: dict[str, Any] = {_RUN_ID: run_id, _GRID_ID: grid_id}
    context["outlet_events"][SUBMITTED_RUNS].add(submitted_runs_asset(bitscale_conn_id), extra=extra)


def submitted(context: Context, asset: Asset, grid_id: str, since: float, until: float) -> dict[str, float]:
    """Return the runs of a grid that were submitted: by id, when, in Unix seconds.

    :param asset: an inlet of the task.
    :param since: Unix seconds, as ``until``.
    """
    found = {}
    for event in _events(context, asset, _time(since), _time(until)):
        run_id = event.extra.get(_RUN_ID)
        if isinstance(run_id, str) and event.extra.get(_GRID_ID) == grid_id:
            found[run_id] = event.timestamp.timestamp()
    return found


def delivered(context: Context, asset: Asset, since: float) -> set[str]:
    """Return the ids of the runs of which an event was made since these Unix seconds."""
    ids = set()
    for event in _events(context, asset, _time(since)):
        try:
            ids.add(str(json.loads(event.extra[DELIVERY])["run_id"]))
        except (KeyError, TypeError, ValueError):
            # An event that somebody else made.
            continue
    return ids


def _events(context: Context, asset: Asset, after: datetime, before: datetime | None = None) -> Iterator[Any]:
    """Yield the events of an asset in order, some perhaps twice; pages, since each may hold a delivery."""
    while True:
        page = context["inlet_events"][asset].after(after.isoformat()).limit(_PAGE)
        events = list(page if before is None else page.before(before.isoformat()))
        yield from events
        if len(events) < _PAGE:
            return
        # Others may be of the same moment; but a page of one moment must not be read for ever.
        after = max(events[-1].timestamp, after + timedelta(microseconds=1))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)

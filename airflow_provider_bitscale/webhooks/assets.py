"""Finished runs as assets: a DAG starts when BitScale delivers one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import Asset

from airflow_provider_bitscale.runs.outcome import COMPLETED, FAILED

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.api.deliveries import Delivery

RunEnd = Literal["completed", "failed"]
ASSETS = "bitscale/"
DELIVERY = "bitscale_delivery"


def bitscale_run_asset(
    grid_id: str, status: RunEnd = COMPLETED, *, bitscale_conn_id: str = "bitscale_default"
) -> Asset:
    """Return the asset for the schedule of a DAG that starts when a run of this grid is delivered.

    :param grid_id: id of the grid.
    :param status: ``completed`` or ``failed``.
    :param bitscale_conn_id: the connection that the runs are submitted with. Nothing that is signed with the
        secret of another one starts the DAG.
    :raises ValueError: another status, no grid, or no connection.
    """
    if status not in (COMPLETED, FAILED):
        raise ValueError(f"status must be {COMPLETED} or {FAILED}, not {status!r}")
    if not grid_id:
        raise ValueError("grid_id is empty")
    if not bitscale_conn_id:
        raise ValueError("bitscale_conn_id is empty")
    return Asset(name=asset_name(bitscale_conn_id, grid_id, status), group="bitscale")


def asset_name(bitscale_conn_id: str, grid_id: str, status: str) -> str:
    """Return the name of the asset for the deliveries of a connection.

    The receiver serves no connection with a slash in its id, so names are unique.
    """
    return f"{ASSETS}{bitscale_conn_id}/{grid_id}/{status}"


def deliveries_from(context: Context, *, bitscale_conn_id: str | None = None) -> list[Delivery]:
    """Return the deliveries that started this DAG run, in order, each run once; other events are skipped.

    Asset events are not secret and prove nothing: every user who may create them in Airflow can invent one.

    :param context: of the task.
    :param bitscale_conn_id: only deliveries for this connection; None for all that the DAG is scheduled on.
        Runs of two connections are two runs, even if they share an id.
    """
    # A DAG file that is parsed does not pay for what its tasks need when they run.
    from airflow_provider_bitscale.api.deliveries import Delivery
    from airflow_provider_bitscale.api.parsing import parse_run

    deliveries: dict[tuple[str, str], Delivery] = {}
    events: Any = context["triggering_asset_events"]
    for of_asset in events.values():
        for event in of_asset:
            conn_id = connection_of(event.asset.name)
            if conn_id is None or bitscale_conn_id not in (None, conn_id):
                continue
            try:
                run = parse_run(json.loads((event.extra or {}).get(DELIVERY, "")))
            except (ValueError, TypeError):
                continue
            if run.run_id is not None and run.grid_id is not None:
                deliveries.setdefault((conn_id, run.run_id), Delivery(run.run_id, run.grid_id, run, run.raw))
    return list(deliveries.values())


def connection_of(name: str) -> str | None:
    """Return the connection of one of our assets, by its name; None for other assets."""
    return name.removeprefix(ASSETS).partition("/")[0] if name.startswith(ASSETS) else None

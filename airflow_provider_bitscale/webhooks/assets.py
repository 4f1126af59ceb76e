"""Finished runs as assets: a DAG starts when BitScale delivers one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_bitscale.api.deliveries import Delivery
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.polling import COMPLETED, FAILED

if TYPE_CHECKING:
    from airflow.sdk import Context

ASSETS = "bitscale/"
DELIVERY = "bitscale_delivery"


def bitscale_run_asset(grid_id: str, status: str = COMPLETED) -> Asset:
    """The asset to schedule a DAG on that is to start when a run of this grid is delivered.

    :param status: ``completed`` or ``failed``.
    :raises ValueError: another status, or no grid.
    """
    if status not in (COMPLETED, FAILED):
        raise ValueError(f"status must be {COMPLETED} or {FAILED}, not {status!r}")
    if not grid_id:
        raise ValueError("grid_id is empty")
    return Asset(name=asset_name(grid_id, status), group="bitscale")


def asset_name(grid_id: str, status: str) -> str:
    """The name under which the API server records deliveries."""
    return f"{ASSETS}{grid_id}/{status}"


def deliveries_from(context: Context) -> list[Delivery]:
    """The deliveries that started this DAG run, in order, each run once; other events are passed over.

    Events of an asset are not secret, nor proof: whoever may create them in Airflow may make one up.
    """
    deliveries: dict[str, Delivery] = {}
    events: Any = context["triggering_asset_events"]
    for of_asset in events.values():
        for event in of_asset:
            try:
                run = parse_run(json.loads((event.extra or {}).get(DELIVERY, "")))
            except (ValueError, TypeError):
                continue
            if run.run_id is not None and run.grid_id is not None:
                deliveries.setdefault(run.run_id, Delivery(run.run_id, run.grid_id, run, run.raw))
    return list(deliveries.values())

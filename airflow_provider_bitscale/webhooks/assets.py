"""Finished runs as assets: a DAG starts when BitScale delivers one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_bitscale.api.deliveries import Delivery
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.runs.polling import COMPLETED, FAILED

if TYPE_CHECKING:
    from airflow.sdk import Context

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
    return f"bitscale/{grid_id}/{status}"


def deliveries_from(context: Context) -> list[Delivery]:
    """The deliveries that started this DAG run, in order, each run once; other events are passed over.

    Events of an asset are not secret, nor proof: whoever may create them in Airflow may make one up.
    """
    deliveries: dict[str, Delivery] = {}
    events: Any = context["triggering_asset_events"]
    for of_asset in events.values():
        for event in of_asset:
            payload = (event.extra or {}).get(DELIVERY)
            if isinstance(payload, dict):
                run = parse_run(payload)
                run_id, grid_id = str(run.run_id), str(run.grid_id)
                deliveries.setdefault(run_id, Delivery(run_id, grid_id, run, payload))
    return list(deliveries.values())

"""Deliveries as asset events, read back by the DAG that they start."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_bitscale.webhooks.assets import DELIVERY, RunEnd, bitscale_run_asset, deliveries_from
from tests.support.documents import WEBHOOK_RUN


def event(extra: dict[str, Any] | None, asset: str = "bitscale/bitscale_default/grid_001/completed") -> Any:
    return SimpleNamespace(extra=extra, asset=SimpleNamespace(name=asset))


def of_nothing(what: Any) -> Any:
    return event({DELIVERY: what})


def delivered(run_id: str, **fields: Any) -> Any:
    return event({DELIVERY: json.dumps({**WEBHOOK_RUN, "run_id": run_id, **fields})})


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_the_asset_of_a_grid(status: RunEnd) -> None:
    assert bitscale_run_asset("grid_001", status).name == f"bitscale/bitscale_default/grid_001/{status}"
    other = bitscale_run_asset("grid_001", status, bitscale_conn_id="other")
    assert other.name == f"bitscale/other/grid_001/{status}"
    assert bitscale_run_asset("grid_001") == bitscale_run_asset("grid_001", "completed")


@pytest.mark.parametrize(
    ("grid_id", "status"), [("grid_001", "running"), ("grid_001", ""), ("", "completed")]
)
def test_there_is_no_asset_of_anything_else(grid_id: str, status: Any) -> None:
    with pytest.raises(ValueError, match=r"status must be|grid_id is empty"):
        bitscale_run_asset(grid_id, status)


def test_there_is_no_asset_of_no_connection() -> None:
    with pytest.raises(ValueError, match="bitscale_conn_id is empty"):
        bitscale_run_asset("grid_001", bitscale_conn_id="")


def test_runs_of_two_connections_are_kept_apart() -> None:
    mine, others = (f"bitscale/{conn_id}/grid_001/completed" for conn_id in ("mine", "others"))
    events = {"mine": [delivered("run_1")], "others": [delivered("run_1"), delivered("run_2")]}
    for name, of_asset in zip((mine, others), events.values(), strict=True):
        for each in of_asset:
            each.asset.name = name
    events["nobodys"] = [event(delivered("run_3").extra, "bitscaled/mine")]
    context: Any = {"triggering_asset_events": events}
    assert [each.run_id for each in deliveries_from(context, bitscale_conn_id="mine")] == ["run_1"]
    assert [each.run_id for each in deliveries_from(context, bitscale_conn_id="others")] == ["run_1", "run_2"]
    assert [each.run_id for each in deliveries_from(context)] == ["run_1", "run_1", "run_2"]


def test_deliveries_come_in_order_each_run_once_and_other_events_are_passed_over() -> None:
    events = {
        "completed": [
            delivered("run_1"),
            event(None),
            event({"from_rest_api": True}),
            *map(of_nothing, ({}, 7, "", "{}", "[]", '{"status": "completed"}')),
            delivered("run_2"),
        ],
        "failed": [delivered("run_3", status="failed", error="no such company"), delivered("run_1")],
    }
    deliveries = deliveries_from({"triggering_asset_events": events})
    assert [each.run_id for each in deliveries] == ["run_1", "run_2", "run_3"]
    assert deliveries[0].run.outputs == WEBHOOK_RUN["outputs"]
    assert deliveries[2].run.error == "no such company"
    assert {each.grid_id for each in deliveries} == {"grid_001"}

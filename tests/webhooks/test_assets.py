"""Deliveries as asset events, read back by the DAG that they start."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_bitscale.webhooks.assets import DELIVERY, bitscale_run_asset, deliveries_from
from tests.api.documents import WEBHOOK_RUN


def event(extra: dict[str, Any] | None) -> Any:
    return SimpleNamespace(extra=extra)


def of_nothing(what: Any) -> Any:
    return event({DELIVERY: what})


def delivered(run_id: str, **fields: Any) -> Any:
    return event({DELIVERY: json.dumps({**WEBHOOK_RUN, "run_id": run_id, **fields})})


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_the_asset_of_a_grid(status: str) -> None:
    assert bitscale_run_asset("grid_001", status).name == f"bitscale/grid_001/{status}"
    assert bitscale_run_asset("grid_001") == bitscale_run_asset("grid_001", "completed")


@pytest.mark.parametrize(
    ("grid_id", "status"), [("grid_001", "running"), ("grid_001", ""), ("", "completed")]
)
def test_there_is_no_asset_of_anything_else(grid_id: str, status: str) -> None:
    with pytest.raises(ValueError, match=r"status must be|grid_id is empty"):
        bitscale_run_asset(grid_id, status)


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

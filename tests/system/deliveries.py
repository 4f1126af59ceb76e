"""Deliveries as BitScale sends them to a real API server, and what became of them there."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.webhooks import sign
from airflow_provider_bitscale.webhooks.addressee import RECEIVER_PATH
from airflow_provider_bitscale.webhooks.assets import DELIVERY
from tests.support.local_airflow import LocalAirflow

PATH = f"{RECEIVER_PATH}/bitscale_default"


def deliver(
    airflow: LocalAirflow,
    run: dict[str, Any] | bytes,
    path: str = PATH,
    *,
    secret: str = Emulator.webhook_secret,
    **headers: str,
) -> int:
    """Deliver as BitScale does; the status of the answer."""
    body = run if isinstance(run, bytes) else json.dumps(run).encode()
    sent = {
        "Content-Type": "application/json",
        "X-BitScale-Run-Id": run["run_id"] if isinstance(run, dict) else "run_1",
        "X-BitScale-Signature": sign(body, secret),
        **headers,
    }
    return requests.post(airflow.url + path, data=body, headers=sent, timeout=15).status_code


def a_run(run_id: str, **fields: Any) -> dict[str, Any]:
    return {"run_id": run_id, "grid_id": "grid_001", "status": "completed", "outputs": {"c": 1}, **fields}


def delivered_run_ids(airflow: LocalAirflow) -> list[str]:
    """BitScale's run id of each event that a delivery made (at most a page of 100 events)."""
    events = airflow.call("GET", "/assets/events", params={"limit": 100})["asset_events"]
    extras = [event["extra"] for event in events]
    return [json.loads(extra[DELIVERY])["run_id"] for extra in extras if DELIVERY in extra]


def acknowledged(bitscale: Emulator) -> list[dict[str, Any]]:
    return [each for each in bitscale.control.state()["deliveries"] if each["acknowledged"]]

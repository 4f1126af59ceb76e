"""Deliveries as BitScale sends them to a real API server, and what became of them there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import requests
import sqlalchemy

from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY as BATCH
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.webhooks import sign
from airflow_provider_bitscale.runs.resume import Try
from airflow_provider_bitscale.runs.run_record import INTENT, Record
from airflow_provider_bitscale.runs.run_record import RUN_KEY as RUN
from airflow_provider_bitscale.webhooks.assets import DELIVERY
from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH, DeliveryAddress, new_key
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres

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


def address_of(run_id: str, key: str, **changes: Any) -> DeliveryAddress:
    """The task of the DAG `awaits`."""
    return replace(DeliveryAddress("awaits", run_id, "enrich", -1, key, "bitscale_default"), **changes)


def waiting(airflow: LocalAirflow, **changes: Any) -> DeliveryAddress:
    """A task instance that keeps what one does which waits for its delivery: no scheduler runs it.

    :param changes: of its record.
    """
    key = new_key()
    waits = Record(
        INTENT, Try(0), "", "grid_001", 1e10, delivery_key=key, delivery_conn_id="bitscale_default"
    )
    address = address_of(airflow.trigger("awaits", {"name": "Ada"}), key)
    keep(airflow, address, RUN, asdict(replace(waits, **changes)))
    return address


def keep(airflow: LocalAirflow, address: DeliveryAddress, key: str, value: Any) -> None:
    """Put this into the state store of a task instance."""
    airflow.call("PUT", f"{_task(address)}/state-store/{key}", json={"value": value})


def kept(airflow: LocalAirflow, address: DeliveryAddress) -> dict[str, Any]:
    """All that deliveries may have left for a task instance."""
    stored = airflow.call("GET", f"{_task(address)}/state-store")["task_state_store"]
    xcoms = airflow.call("GET", f"{_task(address)}/xcomEntries")["xcom_entries"]
    return {each["key"]: each for each in (*stored, *xcoms) if each["key"] not in (RUN, BATCH)}


def _task(address: DeliveryAddress) -> str:
    return f"/dags/{address.dag_id}/dagRuns/{address.dag_run_id}/taskInstances/{address.task_id}"


def delivered_run_ids(airflow: LocalAirflow) -> list[str]:
    """BitScale's run id of each event that a delivery made (at most a page of 100 events)."""
    events = airflow.call("GET", "/assets/events", params={"limit": 100})["asset_events"]
    extras = [event["extra"] for event in events]
    return [json.loads(extra[DELIVERY])["run_id"] for extra in extras if DELIVERY in extra]


def acknowledged(bitscale: Emulator) -> list[dict[str, Any]]:
    return [each for each in bitscale.control.state()["deliveries"] if each["acknowledged"]]


@contextmanager
def session(database: str) -> Iterator[sqlalchemy.Connection]:
    """A transaction on Airflow's database, which ends with the block."""
    engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        yield connection


def refuse(postgres: Postgres, database: str, refused: bool) -> None:
    """Have a database refuse new connections, and end those that there are; or no more."""
    engine = sqlalchemy.create_engine(
        postgres.url, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
    )
    ends = sqlalchemy.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS {not refused}"))
        if refused:
            connection.execute(ends, {"name": database})

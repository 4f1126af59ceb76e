"""What Airflow keeps of runs that are submitted and not waited for: none is lost, none is delivered twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
import uvicorn
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_provider_bitscale.api.deliveries import WebhookSettings, written_delivery
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH
from airflow_provider_bitscale.webhooks.receiver import Receiver
from airflow_provider_bitscale.webhooks.submission_events import SUBMITTED_RUNS
from tests.airflow.conftest import FIXTURE_DAGS, RunDag
from tests.airflow.test_run_grid_money import Task
from tests.airflow.undelivered import NOTHING, SUBMITTED
from tests.support.clients import polls
from tests.support.examples import EXAMPLE_CONN_ID, EXAMPLE_DAGS
from tests.support.hooks import connect
from tests.support.receiver import URL
from tests.support.waiting import wait_until

CONTRACTS = ("v1.1.0",)


@pytest.mark.parametrize(
    ("arguments", "noted"),
    [
        ({"webhook_url": URL}, True),
        ({"webhook_url": URL, "wait_for_completion": True}, False),
        ({"webhook_url": "https://hooks.example.com/bitscale"}, False),
        ({}, False),
    ],
    ids=["forgotten", "waited for", "a receiver of the user's own", "no webhook"],
)
def test_what_is_submitted_to_airflows_receiver_and_not_waited_for_is_noted(
    emulator: Emulator, arguments: dict[str, Any], noted: bool
) -> None:
    task = Task(emulator, **{"wait_for_completion": False, "deferrable": False, **arguments})
    run_id = task.attempt()["run_id"]
    events = task.outlet_events[SUBMITTED_RUNS].asset_alias_events
    assert [(event.dest_asset_key.name, event.extra) for event in events] == (
        [(SUBMITTED.name, {"bitscale_run_id": run_id, "bitscale_grid_id": "grid_001"})] if noted else []
    )


@pytest.fixture
def receiver(_metadata_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the real receiver listens, which keeps what it takes in the database of `run_dag`."""
    monkeypatch.setenv("AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS", EXAMPLE_CONN_ID)
    app = Starlette(routes=[Mount(RECEIVER_PATH, Receiver().app())])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, "the receiver")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def deliver(receiver: str, run_id: str) -> str:
    """Deliver a run as BitScale does; the outcome."""
    run = replace(BitScaleHook().get_run("grid_001", run_id), grid_id="grid_001")
    headers, body = written_delivery(run, WebhookSettings(Emulator.webhook_secret))
    answer = requests.post(
        f"{receiver}{RECEIVER_PATH}/{EXAMPLE_CONN_ID}", data=body, headers=headers, timeout=15
    )
    return str(answer.json()["outcome"])


def forget_events() -> None:
    """Other tests have run the same example, in the same database."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        for event in session.scalars(select(AssetEvent)):
            session.delete(event)


def test_airflow_keeps_what_was_submitted_and_what_was_delivered(
    run_dag: RunDag, emulator: Emulator, receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator, EXAMPLE_CONN_ID)
    forget_events()

    def collect() -> Any:
        return run_dag(FIXTURE_DAGS, "collect_undelivered", airflow=receiver).xcom("collect")

    assert collect() == NOTHING
    run_dag(EXAMPLE_DAGS, "bitscale_submit_with_webhook")
    wait_until(
        lambda: all(run["status"] == "completed" for run in emulator.control.state()["runs"]),
        "the end of all runs",
    )
    arrived, *lost = [run["run_id"] for run in emulator.control.state()["runs"]]
    assert deliver(receiver, arrived) == "accepted"
    asked = len(polls(emulator))
    assert set(collect()["delivered"]) == set(lost)
    assert len(polls(emulator)) - asked == len(lost), "each once"
    assert deliver(receiver, lost[0]) == "duplicate", "however late it comes"
    assert collect() == NOTHING
    assert emulator.control.state()["runs_paid"] == 8

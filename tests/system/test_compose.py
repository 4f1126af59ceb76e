"""The compose file's settings and commands, as processes: only addresses and folders are others here."""

from __future__ import annotations

import csv
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_provider_bitscale.emulator import Emulator
from tests.support.compose import compose, variables_needed
from tests.support.examples import EXAMPLE_DAGS
from tests.support.local_airflow import CELERY_WORKERS, COMPONENTS
from tests.support.processes import free_port
from tests.system.conftest import StartAirflow

DAG_ID = "bitscale_enrich_csv"


@pytest.fixture
def bitscale() -> Iterator[Emulator]:
    with Emulator(run_seconds=(1.0, 2.0), rate_limit=(60, 60.0)) as emulator:
        yield emulator


def environment(addresses: dict[str, str], output: Path) -> dict[str, str]:
    """The environment of the file's workers, with other addresses, in a folder that is there."""
    key = urlsafe_b64encode(secrets.token_bytes(32)).decode()
    document = compose({**dict.fromkeys(variables_needed(), secrets.token_hex(32)), "FERNET_KEY": key})
    text = json.dumps(document["services"]["worker"]["environment"])
    for theirs, ours in addresses.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    found: dict[str, str] = json.loads(text.replace("/opt/airflow/output", str(output)))
    # Airflow's own examples would be parsed for minutes.
    return {**found, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}


def test_two_workers_enrich_a_file(
    start_airflow: StartAirflow, bitscale: Emulator, celery: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    database = urlsplit(celery["database_url"])
    addresses = {
        "http://bitscale:8765": bitscale.url,
        "http://api-server:8080": f"http://127.0.0.1:{port}",
        "redis://redis:6379/0": celery["broker_url"],
        "redis://redis:6379/1": urlsplit(celery["broker_url"])._replace(path="/1").geturl(),
        "airflow:airflow@postgres:5432/airflow": f"{database.netloc}{database.path}",
    }
    airflow = start_airflow(
        EXAMPLE_DAGS,
        env=environment(addresses, tmp_path),
        components=(*COMPONENTS, *CELERY_WORKERS),
        port=port,
        apart=True,
        **celery,
    )
    airflow.wait_for_dags({DAG_ID})
    assert airflow.wait_for_run(DAG_ID, airflow.trigger(DAG_ID)) == "success"
    with (tmp_path / "enriched_leads.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == bitscale.control.state()["runs_paid"] == 8
    assert all(row["Enriched Email"] for row in rows)

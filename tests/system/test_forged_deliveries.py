"""A holder of one connection's secret harms no others: neither tasks nor DAGs of another connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from airflow_provider_bitscale.batch.store.batch_record import BATCH_KEY as BATCH
from airflow_provider_bitscale.batch.store.batch_record import BatchRecord
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.runs.resume import Try
from airflow_provider_bitscale.runs.run_record import COLLECTED, SUBMITTED
from airflow_provider_bitscale.webhooks.callback_token import (
    RECEIVER_PATH,
    Claims,
    DeliveryAddress,
    new_key,
    queue_key,
    with_token,
)
from tests.support.deliveries import PATH, a_run, address_of, deliver, delivered_run_ids, keep, kept, waiting
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres

DAGS = Path(__file__).parent / "dags"
MINE, ATTACKERS = Emulator.webhook_secret, "the secret of another workspace"
ATTACKED_FROM = f"{RECEIVER_PATH}/attacker"
BATCH_ID = "20260101T000000Z-0123ab"


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture(scope="module")
def airflow(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    env = {"AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": "bitscale_default,attacker"}
    for conn_id, secret in {"bitscale_default": MINE, "attacker": ATTACKERS}.items():
        connection = {"conn_type": "bitscale", "extra": {"webhook_secret": secret}}
        env[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(connection)
    home = tmp_path_factory.mktemp("forged")
    components = ("api-server", "dag-processor")
    with LocalAirflow(home, DAGS, env=env, database_url=database, components=components) as running:
        running.wait_for_dags({"collects", "awaits"})
        running.stop("dag-processor")
        yield running


Forge = Callable[[DeliveryAddress, "int | None", dict[str, Any]], "tuple[str, str, int]"]


def as_oneself(address: DeliveryAddress, row: int | None, run: dict[str, Any]) -> tuple[str, str, int]:
    """For a task that is said to wait with the attacker's connection."""
    said = replace(address, bitscale_conn_id="attacker")
    return with_token(ATTACKED_FROM, Claims(said, row), ATTACKERS), ATTACKERS, 202


def as_another(address: DeliveryAddress, row: int | None, run: dict[str, Any]) -> tuple[str, str, int]:
    """For the task as it is."""
    return with_token(ATTACKED_FROM, Claims(address, row), ATTACKERS), ATTACKERS, 400


def with_a_true_token(address: DeliveryAddress, row: int | None, run: dict[str, Any]) -> tuple[str, str, int]:
    """With the token of the task, which BitScale and whoever sees its URLs know."""
    return with_token(PATH, Claims(address, row), MINE), ATTACKERS, 401


def with_a_true_token_at_home(
    address: DeliveryAddress, row: int | None, run: dict[str, Any]
) -> tuple[str, str, int]:
    """With the token of the task, where the attacker's signature is right."""
    return with_token(ATTACKED_FROM, Claims(address, row), MINE), ATTACKERS, 202


FORGED: list[Forge] = [as_oneself, as_another, with_a_true_token, with_a_true_token_at_home]


@pytest.mark.parametrize("forge", FORGED)
def test_a_task_that_waits_takes_nothing_from_a_holder_of_another_secret(
    airflow: LocalAirflow, forge: Forge
) -> None:
    address = waiting(airflow)
    path, secret, status = forge(address, None, a_run("run_of_mine"))
    assert deliver(airflow, a_run("run_of_mine"), path, secret=secret) == status
    assert kept(airflow, address) == {}
    true = with_token(PATH, Claims(address), MINE)
    assert deliver(airflow, a_run(f"run_of_mine_{forge.__name__}"), true) == 202
    assert kept(airflow, address).keys() == {address.key}


@pytest.mark.parametrize("forge", FORGED)
def test_a_batch_that_waits_takes_nothing_from_a_holder_of_another_secret(
    airflow: LocalAirflow, forge: Forge
) -> None:
    address = batching(airflow)
    path, secret, status = forge(address, 0, a_run("run_of_a_row"))
    assert deliver(airflow, a_run("run_of_a_row"), path, secret=secret) == status
    assert kept(airflow, address) == {}
    true = with_token(PATH, Claims(address, 0), MINE)
    assert deliver(airflow, a_run(f"run_of_a_row_{forge.__name__}"), true) == 202
    assert kept(airflow, address).keys() == {f"{address.key}_00000"}


def batching(airflow: LocalAirflow, **changes: Any) -> DeliveryAddress:
    """A task instance that keeps what one does which runs a batch."""
    run_id = airflow.trigger("awaits", {"name": "Ada"})
    address = address_of(run_id, queue_key(BATCH_ID))
    batch = BatchRecord(BATCH_ID, "", Try(0), 1.0, None, "jsonl", 0, [], delivery_conn_id="bitscale_default")
    keep(airflow, address, BATCH, asdict(replace(batch, **changes)))
    return address


def test_no_event_is_made_of_another_connections_grid_and_no_run_id_is_taken(airflow: LocalAirflow) -> None:
    run = a_run("run_that_is_pre_empted")
    assert deliver(airflow, run, ATTACKED_FROM, secret=ATTACKERS) == 202
    assert run["run_id"] not in delivered_run_ids(airflow)
    assert deliver(airflow, run) == 202, "not a duplicate"
    assert delivered_run_ids(airflow).count(run["run_id"]) == 1
    assert deliver(airflow, run) == 200


def test_a_task_that_does_not_wait_is_told_nothing(airflow: LocalAirflow) -> None:
    idle = address_of(airflow.trigger("awaits", {"name": "Ada"}), new_key())
    finished = waiting(airflow, phase=COLLECTED, run_id="run_1", delivery_key=None)
    other_run = waiting(airflow, phase=SUBMITTED, run_id="run_2")
    over = batching(airflow, collected=True)
    unknown = address_of("manual__unknown", new_key())
    names = [replace(idle, dag_id="of_another"), replace(idle, task_id="of_another")]
    for number, each in enumerate((idle, finished, other_run, over, unknown, *names)):
        claims = Claims(each, 0 if each is over else None)
        path = with_token(PATH, claims, MINE)
        assert deliver(airflow, a_run("run_1", grid_id=f"grid_of_another_{number}"), path) == 202
    assert [kept(airflow, each) for each in (idle, finished, other_run, over)] == [{}] * 4


def test_a_delivery_that_is_replayed_leaves_nothing_more(airflow: LocalAirflow) -> None:
    address = waiting(airflow)
    path = with_token(PATH, Claims(address), MINE)
    run = a_run("run_that_is_replayed", grid_id="grid_of_another")
    assert deliver(airflow, run, path) == 202
    left = kept(airflow, address)
    assert deliver(airflow, run, path) == 200
    assert deliver(airflow, a_run("run_of_one_more", grid_id="grid_of_another"), path) == 202
    assert kept(airflow, address) == left


POISONED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an id with a NUL": ({"run_id": "run\0"}, {}),
    "half a character": ({"grid_id": "grid_\ud800"}, {}),
    "an id of 5,000 characters": ({"grid_id": "g" * 5_000}, {}),
    "a name with a NUL": ({}, {"dag_id": "awaits\0"}),
    "a name that is a number": ({}, {"dag_run_id": 7}),
    "a name of 5,000 characters": ({}, {"task_id": "t" * 5_000}),
    "a map index beyond 32 bits": ({}, {"map_index": 2**31}),
    "a map index that is text": ({}, {"map_index": "0"}),
}


def test_a_poisoned_delivery_is_refused_alone(airflow: LocalAirflow, database: str) -> None:
    address = waiting(airflow)
    good = [a_run(f"run_beside_poison_{number}") for number in range(8)]
    # What JSON allows, and a database does not, in a value.
    values = a_run("run_with_odd_values", outputs={"c": "\0 \ud800", "n": 10**30})
    engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)

    def poison(run: dict[str, Any], changes: dict[str, Any]) -> int:
        path = with_token(PATH, Claims(replace(address, **changes)), MINE)
        # No client sends such a header; the body is refused before it is compared.
        return deliver(airflow, a_run("run_1") | run, path, **{"X-BitScale-Run-Id": "run_1"})

    with ThreadPoolExecutor(20) as pool:
        with engine.begin() as locking:
            # They gather behind the first one.
            locking.execute(sqlalchemy.text("SELECT id FROM asset FOR UPDATE"))
            first = pool.submit(deliver, airflow, a_run("run_before_poison"))
            taken = [pool.submit(deliver, airflow, run) for run in (*good, values)]
            refused = {name: pool.submit(poison, *each).result() for name, each in POISONED.items()}
        assert refused == dict.fromkeys(POISONED, 400)
        assert [each.result() for each in (first, *taken)] == [202] * (len(good) + 2)
    assert kept(airflow, address) == {}

"""Promises of the receiver when things go wrong for a while: no delivery is lost, none is told twice.

BitScale makes four attempts, here one, two and four seconds apart, and waits ten seconds for each answer.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy
from cryptography.fernet import Fernet

from airflow_provider_bitscale.api import Client
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import FULL_NAME
from airflow_provider_bitscale.webhooks.callback_token import RECEIVER_PATH, Claims, with_token
from airflow_provider_bitscale.webhooks.served_connections import SETTINGS_SECONDS
from tests.support.clients import config_for
from tests.support.deliveries import (
    PATH,
    a_run,
    acknowledged,
    deliver,
    delivered_run_ids,
    kept,
    refuse,
    session,
    waiting,
)
from tests.support.local_airflow import LocalAirflow
from tests.support.postgres import Postgres
from tests.support.waiting import wait_until
from tests.system.conftest import StartAirflow

DAGS = Path(__file__).parent / "dags"
# Each test has a connection of its own, for what the receiver has read is remembered for a while.
OTHERS = ("unread", "unreadable", "rotated", "late")
UNREAD, UNREADABLE, ROTATED, LATE = (f"{RECEIVER_PATH}/{conn_id}" for conn_id in OTHERS)
ENV = {
    "AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS": ",".join(("bitscale_default", *OTHERS)),
    # Two API servers are to read the same connections.
    "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
}
BURST = 8
HELD_UP = sqlalchemy.text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture(scope="module")
def airflow(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("receiver")
    components = ("api-server", "dag-processor")
    with LocalAirflow(home, DAGS, env=ENV, database_url=database, components=components) as running:
        running.wait_for_dags({"collects", "awaits"})
        # It would wait for what is locked here.
        running.stop("dag-processor")
        for conn_id in ("bitscale_default", "unread", "unreadable"):
            running.add_connection(conn_id, a_connection())
        # What was read when it started is taken for true for a while.
        time.sleep(SETTINGS_SECONDS)
        yield running


@pytest.fixture
def bitscale(airflow: LocalAirflow) -> Iterator[Emulator]:
    with Emulator(webhook_target=airflow.url) as emulator:
        yield emulator


def a_connection(webhook_secret: str = Emulator.webhook_secret) -> dict[str, Any]:
    return {"conn_type": "bitscale", "extra": {"webhook_secret": webhook_secret}}


def submit(bitscale: Emulator, path: str) -> str:
    """Have a run delivered to this path of the API server when it ends; its id."""
    with Client(config_for(bitscale)) as client:
        url = f"https://airflow.example.com{path}"
        run = client.run_grid(bitscale.grid_id, {FULL_NAME: "Ada Lovelace"}, webhook_url=url)
    assert run.run_id
    return run.run_id


def attempts(bitscale: Emulator, **wanted: Any) -> list[dict[str, Any]]:
    """The attempts to deliver the one run, so far, that came to this."""
    made = [attempt for each in bitscale.control.state()["deliveries"] for attempt in each["attempts"]]
    return [attempt for attempt in made if wanted.items() <= attempt.items()]


def answers(bitscale: Emulator) -> list[int]:
    """The statuses of the attempts to deliver the one run, so far."""
    return [attempt["status"] for attempt in attempts(bitscale) if "status" in attempt]


def wait_for_answer(bitscale: Emulator, status: int) -> None:
    def answered() -> list[int]:
        return answers(bitscale)

    wait_until(lambda: status in answered(), lambda: f"{status} in {answered()}", progress=answered)


def wait_for_the_event(airflow: LocalAirflow, bitscale: Emulator, run_id: str) -> None:
    """Return once an attempt is acknowledged; then the run has been told once."""
    wait_until(
        lambda: acknowledged(bitscale),
        lambda: f"a 2xx after {answers(bitscale)}",
        progress=lambda: answers(bitscale),
    )
    assert delivered_run_ids(airflow).count(run_id) == 1


@pytest.mark.parametrize(
    ("slow", "path"),
    [
        pytest.param("SELECT id FROM asset FOR UPDATE", PATH, id="to_record"),
        pytest.param("LOCK TABLE connection IN ACCESS EXCLUSIVE MODE", UNREAD, id="to_tell_the_secret"),
    ],
)
def test_what_a_slow_database_holds_up_is_told_in_time_and_recorded_once_by_a_retry(
    airflow: LocalAirflow, bitscale: Emulator, database: str, slow: str, path: str
) -> None:
    runs = [a_run(f"run_of_a_burst_at{path}/{number}") for number in range(BURST)]
    with ThreadPoolExecutor(len(runs)) as pool:
        with session(database) as locking:
            locking.execute(sqlalchemy.text(slow))
            # What was read before is taken for true for a while.
            time.sleep(SETTINGS_SECONDS)
            run_id = submit(bitscale, path)
            assert set(pool.map(lambda run: deliver(airflow, run, path), runs)) == {503}
            wait_for_answer(bitscale, 503)
        wait_for_the_event(airflow, bitscale, run_id)
        # No thread is stuck: those that were held up have recorded theirs by themselves, or do so now.
        assert set(pool.map(lambda run: deliver(airflow, run, path), runs)) <= {200, 202}
    told = Counter(delivered_run_ids(airflow))
    assert [told[run["run_id"]] for run in runs] == [1] * len(runs)


def test_a_database_that_refuses_for_seconds_costs_no_attempt(
    airflow: LocalAirflow, database: str, postgres: Postgres
) -> None:
    assert deliver(airflow, a_run("run_before_the_database_refused")) == 202
    runs = [a_run(f"run_while_the_database_refused_{number}") for number in range(BURST)]
    name = database.rpartition("/")[2]
    with ThreadPoolExecutor(len(runs)) as pool:
        refuse(postgres, name, True)
        answers = pool.map(lambda run: deliver(airflow, run), runs)
        try:
            time.sleep(4)
        finally:
            refuse(postgres, name, False)
        assert set(answers) == {202}
    told = Counter(delivered_run_ids(airflow))
    assert [told[run["run_id"]] for run in runs] == [1] * len(runs)


def test_a_delivery_that_bitscale_gave_up_waiting_for_is_recorded_once(
    airflow: LocalAirflow, database: str
) -> None:
    with Emulator(webhook_target=airflow.url, webhook_timeout=1.0) as impatient:
        with session(database) as locking:
            locking.execute(sqlalchemy.text("SELECT id FROM asset FOR UPDATE"))
            run_id = submit(impatient, PATH)
            wait_until(lambda: attempts(impatient, error="timeout"), "an attempt that times out")
        wait_for_the_event(airflow, impatient, run_id)


def test_a_task_instance_that_is_locked_holds_up_no_other(airflow: LocalAirflow, database: str) -> None:
    names = ("held up", "free")
    addresses = [waiting(airflow) for _ in names]
    paths = [with_token(PATH, Claims(address), Emulator.webhook_secret) for address in addresses]
    runs = [a_run(f"run_of_a_task_that_is_{name}", grid_id="grid_of_nobody") for name in names]
    with ThreadPoolExecutor(2) as pool, session(database) as locking:
        held = sqlalchemy.text("SELECT id FROM task_instance WHERE run_id = :run_id FOR UPDATE")
        locking.execute(held, {"run_id": addresses[0].dag_run_id})
        answers = list(pool.map(lambda place: deliver(airflow, runs[place], paths[place]), range(2)))
        assert answers == [503, 202]
    assert deliver(airflow, runs[0], paths[0]) == 202


def test_a_task_that_gets_the_row_of_its_next_try_meanwhile_is_told(
    airflow: LocalAirflow, database: str
) -> None:
    address = waiting(airflow)
    path = with_token(PATH, Claims(address), Emulator.webhook_secret)
    run = a_run("run_of_a_task_between_two_tries", grid_id="grid_of_nobody")
    with ThreadPoolExecutor(1) as pool:
        with session(database) as retrying:
            for statement in (
                "CREATE TEMP TABLE next_try AS SELECT * FROM task_instance WHERE run_id = :run_id",
                "DELETE FROM task_instance WHERE run_id = :run_id",
                "INSERT INTO task_instance SELECT * FROM next_try",
            ):
                retrying.execute(sqlalchemy.text(statement), {"run_id": address.dag_run_id})
            told = pool.submit(deliver, airflow, run, path)
            wait_until(lambda: retrying.scalar(HELD_UP), "a transaction that waits")
        assert told.result() == 202
    assert kept(airflow, address).keys() == {address.key}


def test_a_stranger_is_refused_even_while_recording_is_held_up(airflow: LocalAirflow, database: str) -> None:
    with ThreadPoolExecutor(BURST) as pool, session(database) as locking:
        locking.execute(sqlalchemy.text("SELECT id FROM asset FOR UPDATE"))
        for number in range(BURST):
            pool.submit(deliver, airflow, a_run(f"run_held_up_{number}"))
        wait_until(lambda: locking.scalar(HELD_UP), "a transaction that waits")
        # Else unsigned bodies would pile up for as long as the database is slow.
        assert deliver(airflow, a_run("run_of_a_stranger"), secret="made up") == 401


def test_a_database_that_cannot_tell_a_secret_for_a_moment_costs_no_attempt(
    airflow: LocalAirflow, database: str
) -> None:
    assert deliver(airflow, a_run("run_before_the_secret_was_unreadable"), UNREADABLE) == 202
    with session(database) as failing:
        failing.execute(sqlalchemy.text("ALTER TABLE connection RENAME TO unreadable"))
    try:
        time.sleep(SETTINGS_SECONDS)
        assert deliver(airflow, a_run("run_while_the_secret_was_unreadable"), UNREADABLE) == 202
    finally:
        with session(database) as mended:
            mended.execute(sqlalchemy.text("ALTER TABLE unreadable RENAME TO connection"))


def test_the_same_delivery_to_two_api_servers_at_once_is_one_event(
    airflow: LocalAirflow, start_airflow: StartAirflow, database: str
) -> None:
    other = start_airflow(DAGS, env=ENV, database_url=database, components=("api-server",))
    runs = [a_run(f"run_at_two_servers_{number}") for number in range(20)]
    copies = [(server, run) for run in runs for server in (airflow, other) * 2]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda copy: deliver(*copy), copies))
    assert [sorted(statuses[at : at + 4]) for at in range(0, len(copies), 4)] == [[200] * 3 + [202]] * len(
        runs
    )
    told = Counter(delivered_run_ids(airflow))
    assert [told[run["run_id"]] for run in runs] == [1] * len(runs)


def test_where_teams_share_an_airflow_a_delivery_is_refused_and_not_taken_for_told(
    airflow: LocalAirflow, start_airflow: StartAirflow, database: str
) -> None:
    shared = {**ENV, "AIRFLOW__CORE__MULTI_TEAM": "True"}
    of_teams = start_airflow(DAGS, env=shared, database_url=database, components=("api-server",))
    address = waiting(airflow)
    path = with_token(PATH, Claims(address), Emulator.webhook_secret)
    run = a_run("run_where_teams_share")
    assert deliver(of_teams, run, path) == 503
    assert "and so is [core] multi_team: deliveries are answered 503" in of_teams.logs("api-server")
    assert kept(airflow, address) == {}
    assert run["run_id"] not in delivered_run_ids(airflow)
    assert deliver(airflow, run, path) == 202, "not a duplicate"


def test_a_slash_at_the_end_of_the_url_makes_no_difference(airflow: LocalAirflow) -> None:
    assert deliver(airflow, a_run("run_with_a_slash"), f"{PATH}/") == 202
    assert deliver(airflow, a_run("run_with_a_slash")) == 200


def test_why_something_was_refused_is_in_the_log_once_however_often_it_comes(airflow: LocalAirflow) -> None:
    reasons = {
        (f"{RECEIVER_PATH}/nobodys", "0" * 64): "its connection is not served",
        (PATH, None): "there is no header X-BitScale-Signature",
        (PATH, "whatever"): "the signature is not written as it is expected",
    }
    for path, signature in reasons:
        for _ in range(3):
            headers = {"X-BitScale-Signature": signature}
            answer = requests.post(airflow.url + path, data=b"{}", headers=headers, timeout=15)
            assert (answer.status_code, answer.json()) == (401, {"outcome": "refused"})
    log = airflow.logs("api-server")
    assert [log.count(reason) for reason in reasons.values()] == [1, 1, 1]


def test_a_rotated_secret_is_in_force_without_a_restart_before_bitscale_gives_up(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    airflow.add_connection("rotated", a_connection("old"))
    before = a_run("run_before")
    wait_until(lambda: deliver(airflow, before, ROTATED, secret="old") == 202, "it is served")
    assert deliver(airflow, a_run("run_too_early"), ROTATED) == 401
    rotated = a_connection()
    change = {**rotated, "connection_id": "rotated", "extra": json.dumps(rotated["extra"])}
    airflow.call("PATCH", "/connections/rotated", json=change)
    wait_for_the_event(airflow, bitscale, submit(bitscale, ROTATED))
    assert deliver(airflow, a_run("run_too_late"), ROTATED, secret="old") == 401


def test_a_connection_that_is_made_late_is_served_without_a_restart_before_bitscale_gives_up(
    airflow: LocalAirflow, bitscale: Emulator
) -> None:
    run_id = submit(bitscale, LATE)
    wait_for_answer(bitscale, 401)
    airflow.add_connection("late", a_connection())
    wait_for_the_event(airflow, bitscale, run_id)

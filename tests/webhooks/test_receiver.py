"""The receiver over sockets: what strangers see of it and cost it, and what it does when its own parts fail.

What is told to tasks and DAGs needs Airflow's database: see the system tests.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from sqlalchemy.exc import OperationalError

from airflow_provider_bitscale.api.deliveries import MAX_BODY_BYTES
from airflow_provider_bitscale.emulator.webhooks import sign
from airflow_provider_bitscale.webhooks import airflow_internals, receiver
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED, NO_SUBSCRIBERS
from airflow_provider_bitscale.webhooks.receiver import Receiver
from airflow_provider_bitscale.webhooks.served_connections import ServedConnections
from tests.support.waiting import wait_until

SECRET = "a secret of no connection"
BODY = json.dumps({"run_id": "run_1", "grid_id": "grid_001", "status": "completed"}).encode()
NOBODYS, LISTED, ODD, BARE = "nobodys", "listed", "odd", "bare"
# Alike for whatever is named: a connection that is served, one that is not listed, one without a secret.
NAMES = (NOBODYS, LISTED, ODD, BARE, "gone")


@pytest.fixture(autouse=True)
def _connections(monkeypatch: pytest.MonkeyPatch) -> None:
    # Airflow's database is not made for these tests.
    monkeypatch.setattr(airflow_internals, "check_connections_can_be_read", lambda: None)
    extras = {
        LISTED: {"webhook_secret": SECRET},
        ODD: {"webhook_secret": SECRET, "webhook_signature_header": "X-Odd"},
        BARE: {},
    }
    for conn_id, extra in extras.items():
        connection = {"conn_type": "bitscale", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS", f"{LISTED}, {ODD}, {BARE}, gone")


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, notify_scheduled: Callable[[Sequence[Any]], Sequence[Any]] | None = None
) -> Iterator[int]:
    """The receiver on a port of its own, with this in the place of the database."""

    def unheard(received: Sequence[Any]) -> list[str]:
        return [NO_SUBSCRIBERS] * len(received)

    monkeypatch.setattr(receiver, "_create_submission_assets", lambda: None)
    monkeypatch.setattr(receiver, "_notify_waiting", unheard)
    monkeypatch.setattr(receiver, "_notify_scheduled", notify_scheduled or unheard)
    config = uvicorn.Config(Receiver().app(), port=0, log_level="critical", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, "the receiver")
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)


@contextmanager
def posting(port: int, name: str, length: int, **headers: str) -> Iterator[socket.socket]:
    """A request of which only the head has been sent."""
    lines = [f"POST /{name} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
    lines += [f"{header.replace('_', '-')}: {value}" for header, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield connection


def answer(connection: socket.socket) -> bytes:
    """What was answered, without the date."""
    answered = b""
    while b"\r\n\r\n" not in answered or not answered.endswith(b"}"):
        if not (read := connection.recv(65_536)):
            break
        answered += read
    return b"\r\n".join(line for line in answered.split(b"\r\n") if not line.lower().startswith(b"date:"))


def status_of(port: int, name: str, body: bytes = BODY, **headers: str) -> int:
    sent = {"X_BitScale_Run_Id": "run_1", "X_BitScale_Signature": sign(body, SECRET), **headers}
    with posting(port, name, len(body), **sent) as connection:
        connection.sendall(body)
        return int(answer(connection).split()[1])


STRANGERS: dict[str, tuple[bytes, dict[str, str]]] = {
    "not signed": (BODY, {}),
    "signed wrong": (BODY, {"X_BitScale_Signature": "0" * 64}),
    "signed with an unknown secret": (BODY, {"X_BitScale_Signature": sign(BODY, "made up")}),
    "signed in another header": (BODY, {"X_Odd": "0" * 64}),
    "signed in no way": (BODY, {"X_BitScale_Signature": "whatever"}),
    "not JSON": (b"x", {"X_BitScale_Signature": "0" * 64}),
    "too large": (b" " * (MAX_BODY_BYTES + 1), {"X_BitScale_Signature": "0" * 64}),
    "with a token": (BODY, {"X_BitScale_Signature": "0" * 64}),
}


@pytest.mark.parametrize(("body", "headers"), STRANGERS.values(), ids=STRANGERS.keys())
def test_a_stranger_is_answered_alike_whatever_connection_is_named(
    body: bytes, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = set()
    with serving(monkeypatch) as port:
        for name in NAMES:
            with posting(port, f"{name}?bitscale_token=AAAA", len(body), **headers) as connection:
                connection.sendall(body)
                answers.add(answer(connection))
        assert status_of(port, LISTED) == 202
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("headers", "early"),
    [({}, True), ({"X_BitScale_Signature": "0" * 64}, False), ({"X_Odd": "0" * 64}, False)],
)
def test_a_stranger_is_answered_at_the_same_point_whatever_connection_is_named(
    headers: dict[str, str], early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(monkeypatch) as port:
        for name in NAMES:
            with posting(port, name, len(BODY), **headers) as connection:
                connection.settimeout(20 if early else 0.5)
                if not early:
                    with pytest.raises(TimeoutError):
                        connection.recv(1)
                    connection.settimeout(20)
                    connection.sendall(BODY)
                assert answer(connection).startswith(b"HTTP/1.1 401")


def test_a_connection_is_read_no_sooner_for_one_name_than_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []
    real = ServedConnections._settings_of

    def noted(self: Any, conn_id: str) -> Any:
        reads.append(conn_id)
        return real(self, conn_id)

    monkeypatch.setattr(ServedConnections, "_settings_of", noted)
    every = sorted((LISTED, ODD, BARE, "gone"))
    with serving(monkeypatch) as port:
        for name in NAMES:
            monkeypatch.setattr("airflow_provider_bitscale.webhooks.served_connections.SETTINGS_SECONDS", 0.0)
            reads.clear()
            status_of(port, name)
            assert reads == every
        monkeypatch.setattr("airflow_provider_bitscale.webhooks.served_connections.SETTINGS_SECONDS", 60.0)
        reads.clear()
        for name in NAMES:
            status_of(port, name)
        assert reads == []


def test_strangers_do_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(monkeypatch) as port:
        caplog.clear()
        for number in range(20):
            for body, headers in STRANGERS.values():
                name = (f"made_up_{number}", LISTED)[number % 2]
                if len(body) < 1_000:
                    with posting(port, name, len(body), **headers) as connection:
                        connection.sendall(body)
                        answer(connection)
    messages = [record.message for record in caplog.records]
    assert len(messages) == len(set(messages)) <= 5
    assert not any("made_up" in message for message in messages)


def test_a_reason_is_logged_again_after_a_minute_with_the_times_that_it_came(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(monkeypatch) as port:
        caplog.clear()
        for _ in range(3):
            status_of(port, NOBODYS)
        a_minute_passes(monkeypatch)
        for _ in range(2):
            status_of(port, NOBODYS)
    first, again = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert again == f"{first} (and 2 times since this was last logged)"


def a_minute_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic
    monkeypatch.setattr("airflow_provider_bitscale.webhooks.quiet_log.time.monotonic", lambda: now() + 60.0)


def test_bodies_of_strangers_are_held_up_to_a_bound_of_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "MAX_HELD_BYTES", 2 * len(BODY))
    signed = {"X_BitScale_Signature": "0" * 64}
    with serving(monkeypatch) as port:
        with posting(port, NOBODYS, 2 * len(BODY), **signed) as first:
            first.sendall(BODY + BODY[:-1])
            wait_until(lambda: status_of(port, LISTED) == 503, "no room for more")
            first.sendall(b" ")
            assert answer(first).startswith(b"HTTP/1.1 401")
        assert status_of(port, LISTED) == 202, "there is room again"
        with posting(port, NOBODYS, 2 * len(BODY), **signed) as gone:
            gone.sendall(BODY)
        wait_until(lambda: status_of(port, LISTED) == 202, "whoever hangs up leaves room")


def test_a_body_that_does_not_come_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(receiver, "ANSWER_SECONDS", 0.3)
    with serving(monkeypatch) as port:
        caplog.clear()
        for _ in range(3):
            with posting(port, LISTED, len(BODY), X_BitScale_Signature="0" * 64) as connection:
                assert answer(connection).startswith(b"HTTP/1.1 503")
    assert len(caplog.records) == 1


def test_an_internal_fault_is_answered_503_and_its_traceback_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def renamed(received: Sequence[Any]) -> Sequence[Any]:
        raise TypeError("XComModel.set() got an unexpected keyword argument 'region_index'")

    with serving(monkeypatch, renamed) as port:
        # The first time was when it was warmed up.
        assert [status_of(port, LISTED) for _ in range(5)] == [503] * 5
        a_minute_passes(monkeypatch)
        assert [status_of(port, LISTED) for _ in range(5)] == [503] * 5
    said = [record for record in caplog.records if "go on by polls" in record.message]
    assert [record.exc_info is not None for record in said] == [True, False]
    assert [record.levelno for record in said] == [logging.ERROR] * 2
    assert said[1].message.endswith("TypeError (and 5 times since this was last logged)")


def test_a_database_that_refuses_for_a_moment_costs_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    away_until = [0.0]

    def tell(received: Sequence[Any]) -> Sequence[Any]:
        if time.monotonic() < away_until[0]:
            raise OperationalError("SELECT 1", {}, ConnectionRefusedError())
        return [ACCEPTED] * len(received)

    with serving(monkeypatch, tell) as port, ThreadPoolExecutor(20) as pool:
        away_until[0] = time.monotonic() + 2.0
        assert set(pool.map(lambda _: status_of(port, LISTED), range(20))) == {202}


def test_a_connection_is_served_on_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_bitscale.webhooks.served_connections.SETTINGS_SECONDS", 0.0)
    away = [False]

    def ask() -> None:
        if away[0]:
            raise OperationalError("SELECT 1", {}, ConnectionRefusedError())

    monkeypatch.setattr(airflow_internals, "check_connections_can_be_read", ask)
    with serving(monkeypatch) as port:
        assert status_of(port, LISTED) == 202
        away[0] = True
        monkeypatch.delenv("AIRFLOW_CONN_LISTED")
        assert (status_of(port, LISTED), status_of(port, "gone")) == (202, 401)
        monkeypatch.setenv("AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS", "unknown")
        assert {status_of(port, name) for name in (LISTED, "unknown")} == {503}, "nothing can be told of it"
        away[0] = False
        assert {status_of(port, name) for name in (LISTED, "unknown")} == {401}


def test_where_teams_share_an_airflow_nothing_is_accepted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    with serving(monkeypatch) as port:
        assert {status_of(port, name) for name in NAMES} == {503}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "[core] multi_team" in caplog.text

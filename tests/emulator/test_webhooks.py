"""Webhooks: signed, sent only to the loopback target, acknowledged by 2xx, retried three times."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.webhooks import pauses_before_attempts, redirected_to, sign
from tests.emulator.conftest import Client


class Receiver:
    """A webhook receiver that answers with the given statuses in turn; the last one stays."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], int]] = [lambda: 204]
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # Nothing asks for this unless a redirect is followed.
                receiver.received.append((self.path, {}, b""))
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, dict(self.headers.items()), body))
                answers = receiver.answers
                status = (answers.pop(0) if len(answers) > 1 else answers[0])()
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


@pytest.fixture
def emulator(receiver: Receiver) -> Iterator[Emulator]:
    with Emulator(
        run_seconds=(0.05, 0.05), webhook_target=receiver.url, webhook_backoff=0.02, webhook_timeout=0.3
    ) as emulator:
        yield emulator


def delivery_of(emulator: Emulator, attempts: int) -> dict[str, Any]:
    for _ in range(300):
        deliveries = emulator.control.state()["deliveries"]
        if deliveries and len(deliveries[0]["attempts"]) == attempts:
            return dict(deliveries[0])
        time.sleep(0.01)
    raise AssertionError(f"not {attempts} attempts: {deliveries}")


URL = "https://hooks.example.com/bitscale/in?tenant=a%20b"


def test_a_delivery(client: Client, emulator: Emulator, receiver: Receiver) -> None:
    run_id = client.submit(webhook_url=URL)
    delivery = delivery_of(emulator, 1)
    assert (delivery["run_id"], delivery["url"], delivery["acknowledged"]) == (run_id, URL, True)
    assert delivery["attempts"][0]["status"] == 204
    ((path, headers, body),) = receiver.received
    assert path == "/bitscale/in?tenant=a%20b"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-BitScale-Run-Id"] == run_id
    secret = emulator.webhook_secret.encode()
    assert headers["X-BitScale-Signature"] == hmac.new(secret, body, hashlib.sha256).hexdigest()
    payload = json.loads(body)
    assert list(payload) == [
        "run_id",
        "grid_id",
        "status",
        "outputs",
        "credits",
        "started_at",
        "completed_at",
    ]
    assert payload.pop("grid_id") == "grid_001"
    assert payload == client.poll(run_id).json()


def test_a_failed_run_is_delivered_too(client: Client, emulator: Emulator, receiver: Receiver) -> None:
    emulator.control.add_fault("run_fails", message="no")
    client.submit(webhook_url=URL)
    delivery_of(emulator, 1)
    payload = json.loads(receiver.received[0][2])
    assert (payload["status"], payload["error"]["message"]) == ("failed", "no")


def test_a_run_ended_early_is_delivered_then(client: Client, emulator: Emulator, receiver: Receiver) -> None:
    emulator.control.add_fault("run_never_ends")
    run_id = client.submit(webhook_url=URL)
    time.sleep(0.15)
    assert receiver.received == []
    emulator.control.finish_run(run_id)
    assert delivery_of(emulator, 1)["acknowledged"]


@pytest.mark.parametrize(
    ("statuses", "attempts", "acknowledged"),
    [
        ([200], 1, True),
        ([299], 1, True),
        ([500, 500, 201], 3, True),
        ([302], 4, False),
        ([404], 4, False),
        ([500, 500, 500, 200], 4, True),
    ],
)
def test_only_2xx_acknowledges_and_three_retries_follow(
    client: Client,
    emulator: Emulator,
    receiver: Receiver,
    statuses: list[int],
    attempts: int,
    acknowledged: bool,
) -> None:
    receiver.answers = [lambda status=status: status for status in statuses]  # type: ignore[misc]
    client.submit(webhook_url=URL)
    delivery = delivery_of(emulator, attempts)
    time.sleep(0.1)
    assert len(receiver.received) == attempts
    assert delivery["acknowledged"] is acknowledged
    assert {path for path, _, _ in receiver.received} == {"/bitscale/in?tenant=a%20b"}
    assert len({body for _, _, body in receiver.received}) == 1


def test_a_slow_receiver_has_not_acknowledged(client: Client, emulator: Emulator, receiver: Receiver) -> None:
    def slow() -> int:
        time.sleep(0.5)
        return 200

    receiver.answers = [slow, lambda: 200]
    client.submit(webhook_url=URL)
    delivery = delivery_of(emulator, 2)
    assert delivery["attempts"][0]["error"] == "timeout"
    assert delivery["attempts"][1]["status"] == 200
    assert delivery["acknowledged"]


def test_a_receiver_that_does_not_listen_is_an_error_of_each_attempt(unused_port: int) -> None:
    with Emulator(
        run_seconds=(0, 0), webhook_target=f"http://127.0.0.1:{unused_port}", webhook_backoff=0.01
    ) as emulator:
        Client(emulator).submit(webhook_url=URL)
        delivery = delivery_of(emulator, 4)
        assert all("error" in attempt for attempt in delivery["attempts"])
        assert not delivery["acknowledged"]


@pytest.fixture
def unused_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def test_without_a_target_nothing_leaves() -> None:
    with Emulator(run_seconds=(0, 0)) as emulator:
        Client(emulator).submit(webhook_url=URL)
        delivery = delivery_of(emulator, 1)
        assert "undeliverable" in delivery["attempts"][0]["error"]
        assert not delivery["acknowledged"]


def test_sync_runs_and_runs_without_a_url_deliver_nothing(
    client: Client, emulator: Emulator, receiver: Receiver
) -> None:
    client.run(webhook_url=URL)
    client.submit()
    time.sleep(0.15)
    assert (receiver.received, emulator.control.state()["deliveries"]) == ([], [])


def test_a_reset_drops_deliveries(client: Client, emulator: Emulator, receiver: Receiver) -> None:
    client.submit(webhook_url=URL)
    emulator.control.reset()
    time.sleep(0.15)
    assert (receiver.received, emulator.control.state()["deliveries"]) == ([], [])


@pytest.mark.parametrize(
    "target",
    [
        "http://example.com",
        "http://10.0.0.1:80",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://user@127.0.0.1",
        "ftp://127.0.0.1",
        "http://127.0.0.1/path",
        "127.0.0.1:9000",
        "http://0.0.0.0",
        "",
    ],
)
def test_a_target_off_the_loopback_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Emulator(webhook_target=target)


def test_the_pauses_double() -> None:
    assert pauses_before_attempts(1.0) == (0.0, 1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("url", "sent_to"),
    [
        ("https://a.b/c/d?e=f", "http://127.0.0.1:9/c/d?e=f"),
        ("https://a.b", "http://127.0.0.1:9/"),
        ("https://a.b:8443/x#y", "http://127.0.0.1:9/x"),
        ("https://a.b/%2F?x=%20", "http://127.0.0.1:9/%2F?x=%20"),
    ],
)
def test_the_target_replaces_the_origin(url: str, sent_to: str) -> None:
    assert redirected_to("http://127.0.0.1:9/", url) == sent_to


def test_a_known_signature() -> None:
    # RFC 4231, test case 2.
    assert sign(b"what do ya want for nothing?", "Jefe") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )

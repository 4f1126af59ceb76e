"""A receiver of deliveries over a socket, which leaves them where Airflow would: in a task's state store."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_bitscale.api.deliveries import (
    RUN_ID_HEADER,
    SIGNATURE_HEADER,
    WebhookSettings,
    parse_delivery,
)
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.webhooks import sign
from airflow_provider_bitscale.webhooks.awaited import awaits
from airflow_provider_bitscale.webhooks.callback_token import TOKEN_PARAMETER, read_token
from airflow_provider_bitscale.webhooks.delivery_queue import DeliveryQueue, QueuedDelivery
from airflow_provider_bitscale.webhooks.outcomes import ACCEPTED
from tests.support.task_runs import MemoryStore

URL = "https://airflow.example.com/bitscale/webhooks/bitscale_default"


class ServersView:
    """A store as the API server has it: there whatever becomes of the worker."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def get(self, key: str) -> Any:
        return json.loads(self._values[key]) if key in self._values else None

    def set(self, key: str, value: Any) -> None:
        self._values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        del self._values[key]


class Receiver:
    """Puts what is delivered into the queue that its token names; answers 503 while it is ``away``."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.away = False
        self.received = 0
        self._turn = threading.Lock()
        self._settings = WebhookSettings(Emulator.webhook_secret)

    def deliver(self, url: str, run: dict[str, Any]) -> int:
        """Take in a delivery that somebody has signed; the status."""
        body = json.dumps(run).encode()
        headers = {RUN_ID_HEADER: run["run_id"], SIGNATURE_HEADER: sign(body, Emulator.webhook_secret)}
        return self.take(url, headers, body)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Take one delivery in; the status to answer with."""
        if self.away:
            return 503
        delivery = parse_delivery(headers, body, self._settings)
        [token] = parse_qs(urlsplit(path).query)[TOKEN_PARAMETER]
        claims = read_token(token, self._settings.secret, "bitscale_default")
        assert claims is not None
        assert claims.row is not None
        with self._turn:
            view = ServersView(self.store.values)
            if awaits(view, claims, delivery.run_id) == ACCEPTED:
                DeliveryQueue(view, claims.address.key).put([QueuedDelivery(claims.row, delivery.payload)])
                self.received += 1
        return 202


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    """A receiver, and where it listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.take(self.path, dict(self.headers), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

"""What a task that collects undelivered runs meets: asset events, its store, and a receiver over a socket."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from airflow.sdk import Asset

from airflow_provider_bitscale.api.deliveries import Delivery, WebhookSettings, parse_delivery
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.operators.collect_undelivered import CollectUndeliveredOperator
from airflow_provider_bitscale.webhooks.assets import DELIVERY, bitscale_run_asset
from airflow_provider_bitscale.webhooks.submission_events import submitted_runs_asset

PATH = "/bitscale/webhooks/bitscale_default"
NOTHING: dict[str, list[str]] = {"delivered": [], "open": [], "given_up": []}
SUBMITTED = submitted_runs_asset("bitscale_default")


@dataclass(frozen=True)
class Event:
    timestamp: datetime
    extra: dict[str, Any]


class Events:
    """The events of an asset, chosen as a task may choose them."""

    def __init__(self, events: list[Event]) -> None:
        self._events = sorted(events, key=lambda event: event.timestamp)
        self._most: int | None = None

    def after(self, when: str) -> Events:
        self._events = [event for event in self._events if event.timestamp >= datetime.fromisoformat(when)]
        return self

    def before(self, when: str) -> Events:
        self._events = [event for event in self._events if event.timestamp <= datetime.fromisoformat(when)]
        return self

    def limit(self, most: int) -> Events:
        self._most = most
        return self

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events[: self._most])


@dataclass
class Airflow:
    """Asset events, the store of the submissions' asset, and the receiver.

    :param refuses: statuses that the receiver answers with, by run id; ``""`` for all.
    """

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    store: dict[str, Any] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    received: list[Delivery] = field(default_factory=list)
    url: str = ""

    def submitted(self, run_id: str, *, ago: float = 1000.0, grid_id: str = "grid_001") -> None:
        """A task has submitted a run, so many seconds ago."""
        when = datetime.fromtimestamp(time.time() - ago, timezone.utc)
        extra = {"bitscale_run_id": run_id, "bitscale_grid_id": grid_id}
        self.events[SUBMITTED.name].append(Event(when, extra))

    def delivered(self, run_id: str, status: Any = "completed") -> None:
        """BitScale has delivered a run just now."""
        name = bitscale_run_asset("grid_001", status).name
        extra = {DELIVERY: json.dumps({"run_id": run_id})}
        self.events[name].append(Event(datetime.now(timezone.utc), extra))

    def collect(self, **arguments: Any) -> dict[str, list[str]]:
        """Run the operator once."""
        operator = CollectUndeliveredOperator(
            **{"task_id": "collect", "grid_id": "grid_001", "webhook_url": self.url + PATH, **arguments}
        )
        return operator.execute(self._context(operator.inlets))

    def _context(self, inlets: list[Asset]) -> Any:
        return {
            "inlet_events": {asset: Events(self.events[asset.name]) for asset in inlets},
            "asset_state_store": {bitscale_run_asset("grid_001"): self},
        }

    def get(self, key: str) -> Any:
        return json.loads(self.store[key]) if key in self.store else None

    def set(self, key: str, value: Any) -> None:
        self.store[key] = json.dumps(value)


@contextmanager
def receiving() -> Iterator[Airflow]:
    """An Airflow whose receiver verifies what it is sent, and makes an event of it."""
    airflow = Airflow()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == PATH
            body = self.rfile.read(int(self.headers["Content-Length"]))
            delivery = parse_delivery(dict(self.headers), body, WebhookSettings(Emulator.webhook_secret))
            status = airflow.refuses.get(delivery.run_id, airflow.refuses.get("", 202))
            if status == 202:
                airflow.received.append(delivery)
                airflow.delivered(delivery.run_id, delivery.run.status.value)
            answer = json.dumps({"outcome": "accepted"}).encode() if status == 202 else b"<html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        airflow.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield airflow
        finally:
            server.shutdown()
            thread.join()

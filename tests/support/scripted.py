"""A BitScale whose answers about runs a test scripts; it knows one grid, and speaks v1.1.0."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest

from tests.support.batches import EMAIL

# Status and body; None to cut the connection.
Answer: TypeAlias = "tuple[int, Any] | None"

_COLUMNS = [
    {"id": "c-name", "name": "Full Name", "type": "text", "is_input": True, "required": True},
    {"id": "c-company", "name": "Company", "type": "text", "is_input": True},
    {"id": "c-email", "name": EMAIL, "type": "email", "is_output": True},
]


class Scripted:
    """What is answered to submissions and polls, and what was asked.

    :param submitted: the answer to a submission, by its number from 0.
    :param polled: the answer to a poll, by run id and how often that was polled before.
    """

    def __init__(self, submitted: Callable[[int], Answer], polled: Callable[[str, int], Answer]) -> None:
        self._submitted = submitted
        self._polled = polled
        self._lock = threading.Lock()
        self.submissions: list[dict[str, Any]] = []
        self.polls: list[str] = []
        self.url = ""

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """What is answered to a request."""
        if method == "POST":
            with self._lock:
                self.submissions.append(json.loads(body))
                number = len(self.submissions) - 1
            return self._submitted(number)
        if "/runs/" not in path:
            return 200, {"id": "grid_001", "name": "Leads", "columns": _COLUMNS}
        run_id = path.rpartition("/")[2]
        with self._lock:
            before = self.polls.count(run_id)
            self.polls.append(run_id)
        return self._polled(run_id, before)


def completed(run_id: str, outputs: Any = None, **fields: Any) -> Answer:
    """A run that has ended, with what was found."""
    found = {"c-email": f"{run_id}@acme.com"} if outputs is None else outputs
    credits = {"consumed": 1, "remaining": 99}
    return 200, {"run_id": run_id, "status": "completed", "outputs": found, "credits": credits, **fields}


def queued(run_id: str) -> Answer:
    """A run that was accepted."""
    return 200, {"mode": "async", "run_id": run_id, "status": "queued"}


def connect_to(monkeypatch: pytest.MonkeyPatch, script: Scripted) -> None:
    """Make it the connection ``bitscale_default``."""
    connection = {
        "conn_type": "bitscale",
        "host": script.url,
        "password": "a-key",
        "extra": {"workspace_id": "ws_1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(connection))


@contextmanager
def scripted(
    submitted: Callable[[int], Answer] = lambda number: queued(f"run_{number}"),
    polled: Callable[[str, int], Answer] = lambda run_id, before: completed(run_id),
) -> Iterator[Scripted]:
    """Such a BitScale, on a port of its own."""
    script = Scripted(submitted, polled)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = script.answer(self.command, self.path, body)
            if answer is None:
                self.close_connection = True
                return
            data = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    script.url = f"http://127.0.0.1:{server.server_port}/api/v1"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        serving.join()

"""A server that speaks just enough HTTP for every contender, in a process of its own.

All contenders wait on this same server, and its CPU time is not part of any figure. It answers a poll of a
run as BitScale, Databricks and dbt Cloud would, by the path asked for. A run has ended from its fifth poll
on, or, where its id is ``until-SECONDS-…``, from that Unix time on.

Run as ``python -m tests.benchmarks.server [CERTIFICATE]``: prints its port, and serves until its standard
input ends, so it cannot outlive the benchmark that started it.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate

POLLS_OF_A_RUN = 5
STATS_PATH = "/stats"

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# A limit that slows nothing here, but must be read from every answer, as BitScale documents it.
_LIMIT = 1_000_000


@dataclass
class Runs:
    """What was asked, and by how many connections."""

    polls: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    open: int = 0
    most_open: int = 0

    def answer(self, path: str, body: bytes) -> object:
        """The JSON that answers a request."""
        if path == STATS_PATH:
            # The connection that asks is not counted.
            return {
                "polls": self.polls.total(),
                "connections": self.connections - 1,
                "most_open": self.most_open,
            }
        if path.startswith("/api/2.2/"):
            run_id = json.loads(body)["run_id"]
            state = ("TERMINATED", "SUCCESS") if self._ended(str(run_id)) else ("RUNNING", "")
            return {"run_id": run_id, "state": {"life_cycle_state": state[0], "result_state": state[1]}}
        run_id = path.rstrip("/").rpartition("/")[2]
        ended = self._ended(run_id)
        if path.startswith("/api/v2/"):
            return {"data": {"id": run_id, "status": 10 if ended else 3}}
        started = {"run_id": run_id, "started_at": "2026-01-15T10:30:05Z"}
        if not ended:
            return {**started, "status": "running"}
        return {
            **started,
            "status": "completed",
            "outputs": {"a1b2c3d4-e5f6-7890-abcd-ef1234567890": "ada@example.com"},
            "credits": {"consumed": 12, "remaining": 65_788},
            "completed_at": "2026-01-15T10:30:18Z",
        }

    def _ended(self, run_id: str) -> bool:
        self.polls[run_id] += 1
        if run_id.startswith("until-"):
            return time.time() >= float(run_id.split("-")[1])
        return self.polls[run_id] >= POLLS_OF_A_RUN


class _Connection(asyncio.Protocol):
    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._runs.connections += 1
        self._runs.open += 1
        self._runs.most_open = max(self._runs.most_open, self._runs.open)

    def connection_lost(self, exc: Exception | None) -> None:
        self._runs.open -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _CONTENT_LENGTH.search(self._received, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            request, self._received = self._received[:whole], self._received[whole:]
            path = request.split(b" ", 2)[1].decode()
            self._write(json.dumps(self._runs.answer(path, request[end + 4 :])).encode())

    def _write(self, body: bytes) -> None:
        now = time.time()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Date: {formatdate(now, usegmt=True)}\r\nContent-Length: {len(body)}\r\n"
            f"X-RateLimit-Limit: {_LIMIT}\r\nX-RateLimit-Remaining: {_LIMIT - 1}\r\n"
            f"X-RateLimit-Reset: {int(now) // 60 * 60 + 60}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def _serve(certificate: str | None) -> None:
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    runs = Runs()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(runs), "127.0.0.1", 0, ssl=tls, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1] if len(sys.argv) > 1 else None))

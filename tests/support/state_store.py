"""A task state store behind HTTP, as the one of Airflow's API server is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import requests

# What a read took in Airflow 3.3 on PostgreSQL, from the task by way of its supervisor.
ANSWER_SECONDS = 0.01
# A worker's store warns above it.
_LARGEST_VALUE = 64_000


class FolderStore:
    """A task state store that outlives the process: a file of JSON for each key, replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return json.loads(self._path(key).read_bytes())
        except FileNotFoundError:
            return default

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        stored = json.dumps(value, allow_nan=False).encode()
        assert len(stored) < _LARGEST_VALUE, f"{key} is too large for the store: {len(stored):,} bytes"
        path = self._path(key)
        new = path.with_suffix(".new")
        new.write_bytes(stored)
        os.replace(new, path)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        assert "/" not in key
        return self._folder / f"{key}.json"


class HttpStore:
    """The task state store that :func:`served` serves."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._session = requests.Session()

    def get(self, key: str, default: Any = None) -> Any:
        answer = self._session.get(f"{self._origin}/{key}", timeout=30)
        return default if answer.status_code == requests.codes.not_found else answer.json()

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self._session.put(f"{self._origin}/{key}", json=value, timeout=30).raise_for_status()

    def delete(self, key: str) -> None:
        self._session.delete(f"{self._origin}/{key}", timeout=30).raise_for_status()


@contextmanager
def served(store: FolderStore) -> Iterator[str]:
    """Serve a store for the time of the block; its origin."""

    class Handler(_Handler):
        kept = store

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    kept: FolderStore
    protocol_version = "HTTP/1.1"
    # Else the body waits until the header is acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self.kept.get(self._key))

    def do_PUT(self) -> None:
        self.kept.set(self._key, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer({})

    def do_DELETE(self) -> None:
        self.kept.delete(self._key)
        self._answer({})

    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def _key(self) -> str:
        return self.path.removeprefix("/")

    def _answer(self, value: Any) -> None:
        time.sleep(ANSWER_SECONDS)
        body = json.dumps(value).encode()
        self.send_response(404 if value is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

"""``Emulator``: a local BitScale on a real socket, in a thread of this process."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airflow_provider_bitscale.emulator.app import TRANSPORT, EmulatorApp
from airflow_provider_bitscale.emulator.backend import Backend
from airflow_provider_bitscale.emulator.contracts import CONTRACTS
from airflow_provider_bitscale.emulator.control import EmulatorControl
from airflow_provider_bitscale.emulator.routing import BASE_PATH
from airflow_provider_bitscale.emulator.seed import API_KEY, GRID_ID, WEBHOOK_SECRET, WORKSPACE_ID
from airflow_provider_bitscale.emulator.settings import Settings

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class Emulator(Settings):
    """A local BitScale that costs nothing; use it as a context manager.

    Its parameters are those of ``Settings``. The demo account is in ``seed.py``. ``api_key`` is the
    key at the start; a rotation does not change it here.
    """

    api_key = API_KEY
    workspace_id = WORKSPACE_ID
    webhook_secret = WEBHOOK_SECRET
    grid_id = GRID_ID

    def __post_init__(self) -> None:
        super().__post_init__()
        self.api_key = CONTRACTS[self.contract].key_after(0, self.seed or 0)
        self._url: str | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Emulator:
        """Listen and serve; return itself once requests are answered.

        :raises OSError: the port is taken.
        :raises RuntimeError: it is already started, or does not come up within ten seconds.
        """
        if self._server is not None:
            raise RuntimeError("the emulator is already started")
        # Clients can connect from here on, and wait until the loop runs.
        listener = socket.create_server((self.host, self.port), backlog=2048)
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = _Server(Backend(self, self.base_url))
        self._server = server
        self._thread = threading.Thread(
            target=server.run, args=([listener],), name="bitscale-emulator", daemon=True
        )
        self._thread.start()
        if not server.serving.wait(_START_SECONDS):
            self.close()
            listener.close()
            raise RuntimeError(f"the emulator did not start within {_START_SECONDS:.0f} seconds")
        return self

    def close(self) -> None:
        """Stop serving: cut every connection, free the port, end the thread. No effect when not started.

        :raises RuntimeError: the thread does not end within ten seconds.
        """
        server, thread = self._server, self._thread
        self._server = self._thread = self._url = None
        if server is None or thread is None:
            return
        server.should_exit = True
        thread.join(_STOP_SECONDS)
        if thread.is_alive():
            raise RuntimeError(f"the emulator did not stop within {_STOP_SECONDS:.0f} seconds")

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The origin, ``http://127.0.0.1:PORT``.

        :raises RuntimeError: it is not started.
        """
        if self._url is None:
            raise RuntimeError("the emulator is not started")
        return self._url

    @property
    def base_url(self) -> str:
        """The base URL of the API, in place of the document's ``https://api.bitscale.ai/api/v1``."""
        return self.url + BASE_PATH

    @property
    def control(self) -> EmulatorControl:
        """A client that steers this emulator."""
        return EmulatorControl(self.url)

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection to this emulator as a dict of its JSON form."""
        return {
            "conn_type": "bitscale",
            "host": self.base_url,
            "password": self.api_key,
            "extra": {**CONTRACTS[self.contract].connection_extra, "webhook_secret": self.webhook_secret},
        }

    def connection_json(self) -> str:
        """Return the Airflow connection as the value of ``AIRFLOW_CONN_BITSCALE_DEFAULT``."""
        return json.dumps(self.connection())


class _Protocol(HttpToolsProtocol):
    """Shows the application its connection, so that a fault can cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]


class _Server(uvicorn.Server):
    """Uvicorn that tells when it serves and does not wait for its clients when it stops."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(
            uvicorn.Config(
                EmulatorApp(backend),
                interface="asgi3",
                http=_Protocol,
                ws="none",
                lifespan="off",
                # The logging of the process that it runs in stays as it is.
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                # Longer than any sane poll interval, or a client would now and then meet a closing socket.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
            )
        )
        self.serving = threading.Event()
        self._backend = backend

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._backend.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)

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


class Emulator:
    """A local BitScale on 127.0.0.1 that costs nothing; use it as a context manager.

    What the demo account holds is in ``seed.py``. ``api_key`` is the key at the start; a rotation does not
    change it here.

    :param port: where to listen; 0 takes any free port.
    :param seed: the same seed, inputs and order of runs give the same answers, costs, durations and run ids.
        None: those of seed 0, but with run ids that no other process and no reset repeats.
    :param credits: credits left in the demo workspace at the start.
    :param run_seconds: lowest and highest duration of a run, in seconds; log-normal between them, most runs
        near their geometric mean (uniform if the lowest is 0).
    :param slow_runs: (share of runs from 0 to 1, seconds that each of those takes instead).
    :param rate_limit: (requests, window in seconds) per API key, under workspace-key per workspace; None sets
        no limit and sends no headers that tell of one.
    :param run_limit: how many runs the plan allows before RUN_LIMIT_EXCEEDED; None: any number.
    :param webhook_target: a loopback origin that stands for the internet: a webhook to
        ``https://any.host/path?q`` goes to this origin + ``/path?q``. None: webhooks are recorded as
        undeliverable.
    :param webhook_backoff: seconds before the first webhook retry; doubled for each further one.
    :param webhook_timeout: seconds a receiver has to acknowledge a webhook.
    :param contract: ``v1.1.0``, the documented API with ``api_key`` and ``workspace-id``, or
        ``workspace-key``, its successor with ``X-API-KEY``, inputs by label and runs found by request id.
    :param sync_cut_off: seconds after which workspace-key answers a sync request whose run has not ended.
    :param miss_rate: share of enrichments, from 0 to 1, that complete without a find.
    :param extra_grids: how many further grids without a data source the demo workspace has.
    :param rate_limit_hints: what answers tell of the limit: ``headers`` (``X-RateLimit-*`` on every answer),
        ``retry-after`` (only how long to wait, on the 429) or ``nothing``. None: as the contract has it,
        ``headers`` under v1.1.0 and ``nothing`` under workspace-key.
    :raises ValueError: a setting is out of range; the message names it.
    """

    api_key = API_KEY
    workspace_id = WORKSPACE_ID
    webhook_secret = WEBHOOK_SECRET
    grid_id = GRID_ID

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int | None = None,
        credits: int = 65_800,
        run_seconds: tuple[float, float] = (0.2, 0.5),
        slow_runs: tuple[float, float] = (0.0, 0.0),
        rate_limit: tuple[int, float] | None = None,
        run_limit: int | None = None,
        webhook_target: str | None = None,
        webhook_backoff: float = 1.0,
        webhook_timeout: float = 10.0,
        contract: str = "v1.1.0",
        sync_cut_off: float = 120.0,
        miss_rate: float = 0.0,
        extra_grids: int = 0,
        rate_limit_hints: str | None = None,
    ) -> None:
        self._settings = Settings(
            port=port,
            seed=seed,
            credits=credits,
            run_seconds=run_seconds,
            slow_runs=slow_runs,
            rate_limit=rate_limit,
            run_limit=run_limit,
            webhook_target=webhook_target,
            webhook_backoff=webhook_backoff,
            webhook_timeout=webhook_timeout,
            contract=contract,
            sync_cut_off=sync_cut_off,
            miss_rate=miss_rate,
            extra_grids=extra_grids,
            rate_limit_hints=rate_limit_hints,
        )
        self.contract = contract
        self.api_key = CONTRACTS[contract].api_key
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
        listener = socket.create_server(("127.0.0.1", self._settings.port), backlog=2048)
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = _Server(Backend(self._settings, self.base_url))
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
            "extra": {
                **CONTRACTS[self.contract].connection_extra,
                "webhook_secret": self.webhook_secret,
            },
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

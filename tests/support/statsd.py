"""A StatsD server for Airflow's metrics."""

from __future__ import annotations

from contextlib import suppress
from socket import AF_INET, SOCK_DGRAM, socket
from types import TracebackType


class StatsD:
    """Listens on loopback for the length of a `with`. What comes while nobody reads may get lost."""

    def __enter__(self) -> StatsD:
        self._socket = socket(AF_INET, SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    @property
    def env(self) -> dict[str, str]:
        """What has Airflow send its metrics here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
        }

    def received(self) -> list[str]:
        """All that has come since the last time, without the prefix of all of Airflow's."""
        found = []
        with suppress(TimeoutError):
            while True:
                found.append(self._socket.recv(65_536).decode().removeprefix("airflow."))
        return found

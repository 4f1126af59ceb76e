"""A throwaway Redis server from the machine's own binaries."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.service import Service
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from redis import Redis as Client


class Redis(Service):
    """An empty Redis, which asks for a password and keeps what it holds in memory alone.

    :param certificate: with its key in the same file, to speak TLS alone.
    """

    title = "Redis"
    process = "redis"
    end_grace = 5.0

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__()
        self._certificate = certificate

    @property
    def url(self) -> str:
        """For `[celery] broker_url` and the like, with everything that it takes."""
        if self._certificate:
            return f"rediss://:{self._password}@127.0.0.1:{self.port}/0?ssl_ca_certs={self._certificate}"
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @staticmethod
    def missing_reason() -> str | None:
        """Why there can be no Redis here, in words for a skipped test; None when there can."""
        if not all(shutil.which(binary) for binary in ("redis-server", "redis-cli")):
            return "Redis is not installed (Debian: apt-get install redis-server)"
        return None

    def client(self) -> Client:
        """A client that may do everything, to look behind what is tested."""
        from redis import Redis as Client

        return Client.from_url(self.url)

    def kill(self) -> None:
        """End it as a machine that dies does; what it held is gone."""
        self._family.end("redis", kill=True)

    def restart(self) -> None:
        """Start it anew after `kill`, on the same port."""
        self._start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it take connections and answer nothing meanwhile, like a machine that hangs."""
        (server,) = self._family.members("redis")
        server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.send_signal(signal.SIGCONT)

    def _start(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password,
            "dir": str(self._folder),
            "save": '""',
            "appendonly": "no",
        }
        if self._certificate:
            settings |= {
                "port": "0",
                "tls-port": str(self.port),
                "tls-auth-clients": "no",
                **dict.fromkeys(
                    ("tls-cert-file", "tls-key-file", "tls-ca-cert-file"), str(self._certificate)
                ),
            }
        # In a file, because everybody can read a command line.
        config, log = self._folder / "redis.conf", self._folder / "server.log"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._family.spawn(
            "redis", ("redis-server", str(config)), env=dict(os.environ), output=log, cwd=self._folder
        )
        self._wait_until_up(lambda: self._ping() == "PONG", log)

    def _ping(self) -> str:
        """What the server answers; empty while it does not."""
        tls = ("--tls", "--cacert", str(self._certificate)) if self._certificate else ()
        done = subprocess.run(
            ("redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *tls, "ping"),
            env={**os.environ, "REDISCLI_AUTH": self._password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout.strip()


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    """One Redis for a file of tests; skips them, saying why, where there can be none."""
    if reason := Redis.missing_reason():
        pytest.skip(reason)
    with Redis() as server:
        yield server

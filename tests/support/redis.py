"""A throwaway Redis server from the machine's own binaries."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.support.service import Service
from tests.support.waiting import PATIENCE


class Redis(Service):
    """An empty Redis, which asks for a password and keeps what it holds in memory alone."""

    title = "Redis"
    process = "redis"
    end_grace = 5.0

    @property
    def url(self) -> str:
        """For `[celery] broker_url`."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @staticmethod
    def missing_reason() -> str | None:
        """Why there can be no Redis here, in words for a skipped test; None when there can."""
        if not all(shutil.which(binary) for binary in ("redis-server", "redis-cli")):
            return "Redis is not installed (Debian: apt-get install redis-server)"
        return None

    def _start(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password,
            "dir": str(self._folder),
            "save": '""',
            "appendonly": "no",
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
        done = subprocess.run(
            ("redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "ping"),
            env={**os.environ, "REDISCLI_AUTH": self._password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout.strip()

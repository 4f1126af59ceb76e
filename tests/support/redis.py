"""A throwaway Redis server from the machine's own binaries."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.support.processes import Family, free_port, tail, wait_until

_START_TIMEOUT = 15.0


class Redis:
    """An empty Redis on a loopback port of its own, alive for the length of a `with`.

    It asks for a password, and keeps what it holds in memory alone.
    Entering raises `RuntimeError` with the server's words when it does not come up.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._password = secrets.token_hex(8)
        self._family = Family()

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

    def __enter__(self) -> Redis:
        if reason := self.missing_reason():
            raise RuntimeError(reason)
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._family.end(grace=5.0)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

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

        def answers() -> bool:
            if (code := self._family.exit_code("redis")) is not None:
                raise RuntimeError(f"redis ended with {code}:\n{tail(log)}")
            return self._ping() == "PONG"

        wait_until(answers, "Redis to answer", timeout=_START_TIMEOUT, every=0.05)

    def _ping(self) -> str:
        """What the server answers; empty while it does not."""
        done = subprocess.run(
            ("redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "ping"),
            env={**os.environ, "REDISCLI_AUTH": self._password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout.strip()

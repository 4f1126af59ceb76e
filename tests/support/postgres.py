"""A throwaway PostgreSQL server from the machine's own binaries."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.support.processes import Account
from tests.support.service import Service
from tests.support.waiting import PATIENCE


class Postgres(Service):
    """An empty PostgreSQL.

    It refuses to run as root, and its account cannot reach into a folder that is root's alone (pytest's
    `tmp_path` is).
    """

    title = "PostgreSQL"
    process = "postgres"
    end_by = signal.SIGINT  # It ends without waiting for clients to leave.
    end_grace = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._account = _account()

    @property
    def url(self) -> str:
        """For `[database] sql_alchemy_conn`; Airflow derives the asynchronous one (asyncpg) from it."""
        return self._url("postgres")

    def new_database(self) -> str:
        """The URL of one more empty database on the same server."""
        name = f"airflow_{secrets.token_hex(4)}"
        self._run(["createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow", name])
        return self._url(name)

    def _url(self, database: str) -> str:
        # The driver is named because SQLAlchemy's default differs between the versions Airflow allows.
        return f"postgresql+psycopg2://airflow:{self._password}@127.0.0.1:{self.port}/{database}"

    @staticmethod
    def missing_reason() -> str | None:
        """Why there can be no PostgreSQL here, in words for a skipped test; None when there can."""
        if _binary("initdb") is None:
            return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        missing = [driver for driver in ("psycopg2", "asyncpg") if find_spec(driver) is None]
        if missing:
            return f"Airflow's PostgreSQL drivers are not installed: {', '.join(missing)}"
        if os.geteuid() == 0 and _account() is None:
            return "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
        return None

    def _start(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if self._account:
            for path in (self._folder, password_file):
                os.chown(path, self._account.uid, self._account.gid)
        data, log = self._folder / "data", self._folder / "server.log"
        self._run(
            [
                *("initdb", "--pgdata", str(data), "--username", "airflow", "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
            ]
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            # Its data does not outlive it.
            "fsync": "off",
        }
        self._family.spawn(
            "postgres",
            [
                str(_binary("postgres")),
                *("-D", str(data)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            env=_environment(),
            output=log,
            cwd=self._folder,
            account=self._account,
        )

        def answers() -> bool:
            probe = [str(_binary("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            return subprocess.run(probe, timeout=PATIENCE, check=False).returncode == 0

        self._wait_until_up(answers, log)

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            [str(_binary(command[0])), *command[1:]],
            env={**_environment(), "PGPASSWORD": self._password},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _binary(name: str) -> str | None:
    """A server binary: Debian keeps them off the PATH, one folder per version; the newest is taken."""
    installed = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


def _account() -> Account | None:
    """Whom to run as: ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return None


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")}

"""Start processes, find everything they started in turn, and end all of it within a bound."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_MARK = "BITSCALE_TESTS_FAMILY"


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process: no settings of another Airflow, no proxies, its own home."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and not name.lower().endswith("_proxy")
    }
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "TMPDIR": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        **(more or {}),
    }


def tail(path: Path, lines: int = 25) -> str:
    """The last lines of a text file; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class Account:
    """The user a process runs as when the caller is root."""

    uid: int
    gid: int


class Family:
    """Named processes with all their descendants, orphans included.

    A descendant is known by the session its leader opened or, where it opened a session of its own,
    by a mark it inherited in its environment. Neither alone is enough: a process that renames itself
    may overwrite its environment, and `setsid` leaves the session.
    """

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self._leaders: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        output: Path,
        cwd: Path,
        account: Account | None = None,
    ) -> None:
        """Start `command` in a session of its own, its output appended to a file.

        Raises `RuntimeError` when a process of that name, or anything it started, still runs.
        """
        if self.members(name):
            raise RuntimeError(f"{name} is running already")
        with output.open("ab") as sink:
            self._leaders[name] = subprocess.Popen(
                command,
                env={**env, _MARK: self._mark_of(name)},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )

    def names(self) -> list[str]:
        """What was started and has not been ended."""
        return list(self._leaders)

    def exit_code(self, name: str) -> int | None:
        """How the leader ended; None while it runs."""
        return self._leaders[name].poll()

    def members(self, name: str | None = None) -> list[psutil.Process]:
        """The living processes of one name, or of all."""
        sessions = {leader.pid for each, leader in self._leaders.items() if name in (None, each)}
        mark = self._mark if name is None else self._mark_of(name)
        return [process for process in psutil.process_iter() if _belongs(process, sessions, mark)]

    def end(
        self,
        name: str | None = None,
        *,
        kill: bool = False,
        grace: float = 15.0,
        by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """End one name, or all: the leaders by signal `by`, what is left after `grace` seconds by SIGKILL.

        With `kill` everything gets SIGKILL at once, as when a container dies.
        Raises `RuntimeError` naming what outlived even that.
        """
        leaders = {each: self._leaders[each] for each in ([name] if name else list(self._leaders))}
        if not kill:
            for leader in leaders.values():
                if leader.poll() is None:
                    leader.send_signal(by)
            deadline = time.monotonic() + grace
            while self.members(name) and time.monotonic() < deadline:
                time.sleep(0.1)
        # A process may fork while the list is being read, so it is read until it stays empty.
        deadline = time.monotonic() + 10.0
        while alive := self.members(name):
            if time.monotonic() >= deadline:
                raise RuntimeError(f"outlived SIGKILL: {[describe(process) for process in alive]}")
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.05)
        for each, leader in leaders.items():
            leader.wait(timeout=5.0)
            # Its process id may be given to a stranger from here on.
            del self._leaders[each]

    def _mark_of(self, name: str) -> str:
        return f"{self._mark}:{name}:"


def describe(process: psutil.Process) -> str:
    """A process id with its command line, for messages."""
    return f"{process.pid} {command_line(process)[:120] or '(ended)'}"


def command_line(process: psutil.Process) -> str:
    """The command line of a process; empty if it has ended since it was listed."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _belongs(process: psutil.Process, sessions: set[int], mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return os.getsid(process.pid) in sessions or process.environ().get(_MARK, "").startswith(mark)
    except (psutil.Error, OSError):
        return False

"""Every measurement takes place in fresh processes; this starts them and ends them within a bound."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.server import STATS_PATH
from tests.support.processes import environment

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 10


class ProcessFailedError(RuntimeError):
    """A benchmark process ended badly; says how."""


def run_json(arguments: Sequence[str], env: Mapping[str, str], *, timeout: float) -> Any:
    """Run a Python module, or code, to its end; return the JSON of the last line it prints.

    :param arguments: for the interpreter, such as ``["-m", "tests.benchmarks.load", …]``.
    """
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if ended.returncode != 0:
        raise ProcessFailedError(
            f"{' '.join(arguments[:3])} ended with {ended.returncode}:\n{ended.stderr[-2000:]}"
        )
    return json.loads(ended.stdout.splitlines()[-1])


@contextmanager
def process(arguments: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A Python process for the time of the block."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()


@dataclass(frozen=True)
class Server:
    """A running :mod:`tests.benchmarks.server`.

    :param certificate: of the authority that its clients must trust; None for plain HTTP.
    """

    port: int
    certificate: Path | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, int]:
        """Polls answered, connections opened, most connections open at once."""
        trust = ssl.create_default_context(cafile=self.certificate) if self.certificate else None
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        with direct.open(self.origin + STATS_PATH, timeout=30) as answer:
            stats: dict[str, int] = json.load(answer)
        return stats


@contextmanager
def poll_server(home: Path, certificate: Path | None = None) -> Iterator[Server]:
    """A fresh server for the time of the block."""
    arguments = ["-m", "tests.benchmarks.server", *([str(certificate)] if certificate else [])]
    with process(arguments, environment(home)) as running:
        assert running.stdout is not None
        port = running.stdout.readline().strip()
        if not port:
            raise ProcessFailedError("the poll server did not start")
        yield Server(int(port), certificate)

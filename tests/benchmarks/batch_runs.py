"""What the measurements of a batch share: an emulator, a table of rows, and processes that run it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_provider_bitscale.emulator import EmulatorControl
from tests.benchmarks.processes import ProcessFailedError, process, run_json
from tests.support.batch_process import batch_arguments
from tests.support.processes import environment

_CREDITS = "1000000000"


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    :param origin: scheme, host and port.
    :param connection: the Airflow connection to it, as JSON.
    """

    origin: str
    connection: str

    def environment(self, home: Path) -> dict[str, str]:
        """That of a process which uses this emulator by the default connection."""
        return environment(home, {"AIRFLOW_CONN_BITSCALE_DEFAULT": self.connection})

    def runs_paid(self) -> int:
        """How many runs were accepted."""
        paid: int = EmulatorControl(self.origin).state()["runs_paid"]
        return paid

    def wire(self) -> Wire:
        """All requests so far."""
        return Wire(EmulatorControl(self.origin).requests())


@dataclass(frozen=True)
class Wire:
    """The requests that an emulator has seen, in order of arrival."""

    exchanges: Sequence[dict[str, Any]]

    @cached_property
    def submits(self) -> list[dict[str, Any]]:
        """Submissions that were accepted: each is paid for."""
        return [each for each in self.exchanges if each["method"] == "POST" and each["status"] in (200, 202)]

    @property
    def refused(self) -> int:
        """Requests answered with 429."""
        return sum(each["status"] == 429 for each in self.exchanges)

    def share_used(self, limit: float) -> float:
        """Share of a limit, in requests a second, that was used from the first submission to the last."""
        first, last = self.submits[0]["at"], self.submits[-1]["at"]
        used = sum(first <= each["at"] < last and each["status"] != 429 for each in self.exchanges)
        return float(used / (last - first) / limit)


@contextmanager
def emulator(home: Path, *options: str) -> Iterator[Emulator]:
    """A fresh emulator with more credits than anybody needs, for the time of the block."""
    arguments = ["-m", "airflow_provider_bitscale.emulator", "--port", "0", "--credits", _CREDITS, *options]
    with process(arguments, environment(home)) as running:
        assert running.stdout is not None
        base_url = running.stdout.readline().strip().rpartition(" ")[2]
        if not base_url.startswith("http://127.0.0.1:"):
            raise ProcessFailedError("the emulator did not start")
        _, assignment = shlex.split(running.stdout.readline())
        yield Emulator(base_url.removesuffix("/api/v1"), assignment.partition("=")[2])


def run_batch(server: Emulator, rows: Path, *options: str, timeout: float = 900.0) -> dict[str, Any]:
    """Run the operator on a table in a fresh process; see :mod:`tests.support.batch_process`.

    :raises ProcessFailedError: a row did not succeed.
    """
    arguments = batch_arguments(rows, *options)
    measured: dict[str, Any] = run_json(arguments, server.environment(rows.parent), timeout=timeout)
    manifest = measured["manifest"]
    if manifest["counts"]["succeeded"] != manifest["rows"]:
        raise ProcessFailedError(f"not all of {manifest['rows']:,} rows succeeded: {manifest['counts']}")
    return measured

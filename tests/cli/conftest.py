from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from airflow_provider_bitscale.api.limit import pacer
from airflow_provider_bitscale.emulator import Emulator
from tests.support.fixtures import each_contract, emulators
from tests.support.hooks import connect

__all__ = ["each_contract", "emulators"]


@dataclass(frozen=True)
class Done:
    """What a command has printed, and the exit code of its process."""

    code: int
    out: str
    err: str


Bitscale = Callable[..., Done]


@pytest.fixture
def emulator(emulators: dict[str, Emulator], contract: str, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A fast emulator of the contract in its start state, and `bitscale_default` leading to it."""
    chosen = emulators[contract]
    chosen.control.reset()
    pacer._pacers.clear()
    connect(monkeypatch, chosen)
    return chosen


@pytest.fixture
def bitscale(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bitscale:
    """`bitscale("run", "grid_001", …)`: what the command does, by Airflow's own parser, in this process."""
    from airflow.cli.cli_parser import get_parser

    # Commands leave it behind, for the process ends with them.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    # Where help is wrapped.
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        code: object = 0
        try:
            args = get_parser().parse_args(["bitscale", *arguments])
            args.func(args)
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return call

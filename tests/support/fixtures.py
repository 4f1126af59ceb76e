"""Fixtures for tests that talk to the emulator over a socket; conftest files pick them up from here."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_provider_bitscale.api.config import API_CONTRACTS, V1_1_0
from airflow_provider_bitscale.api.limit import pacer
from airflow_provider_bitscale.emulator import Emulator
from tests.support.clients import Caller, Opener, config_for, opener

__all__ = ["bare_environment", "client", "contract", "each_contract", "emulator", "emulators", "open_client"]


@pytest.fixture(scope="session")
def emulators() -> Iterator[dict[str, Emulator]]:
    """An emulator of each contract."""
    fast = (0.05, 0.1)
    with (
        Emulator(run_seconds=fast) as documented,
        Emulator(contract="workspace-key", run_seconds=fast) as today,
    ):
        yield {emulator.contract: emulator for emulator in (documented, today)}


@pytest.fixture
def contract() -> str:
    """The contract that a test is about."""
    return V1_1_0


@pytest.fixture(name="contract", params=API_CONTRACTS)
def each_contract(request: pytest.FixtureRequest) -> str:
    """The contract, one after the other: what a promise is to hold under."""
    name: str = request.param
    return name


@pytest.fixture
def emulator(emulators: dict[str, Emulator], contract: str) -> Emulator:
    """A fast emulator of the contract, in its start state."""
    emulators[contract].control.reset()
    # What one test learned about the rate limit holds for the whole process, and is none of the next one's.
    pacer._pacers.clear()
    return emulators[contract]


@pytest.fixture(params=["sync", "async"])
def open_client(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Opens clients of either kind."""
    with opener(request.param) as open_one:
        yield open_one


@pytest.fixture
def client(emulator: Emulator, open_client: Opener) -> Caller:
    """A client of either kind on the emulator."""
    return open_client(config_for(emulator))


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing about the network."""
    for name in list(os.environ):
        if "proxy" in name.lower() or name.endswith("_CA_BUNDLE") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)

"""Fixtures for tests that talk to the emulator over a socket; conftest files pick them up from here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_bitscale.emulator import Emulator
from tests.api.clients import Caller, Opener, config_for, opener

__all__ = ["api_emulator", "client", "emulator", "open_client"]


@pytest.fixture(scope="session")
def api_emulator() -> Iterator[Emulator]:
    """One emulator for all. A test that is to be answered 429 starts its own: the pace is remembered."""
    with Emulator(run_seconds=(0.05, 0.1)) as emulator:
        yield emulator


@pytest.fixture
def emulator(api_emulator: Emulator) -> Emulator:
    """A fast emulator in its start state."""
    api_emulator.control.reset()
    return api_emulator


@pytest.fixture(params=["sync", "async"])
def open_client(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Opens clients of either kind."""
    with opener(request.param) as open_one:
        yield open_one


@pytest.fixture
def client(emulator: Emulator, open_client: Opener) -> Caller:
    """A client of either kind on the emulator."""
    return open_client(config_for(emulator))

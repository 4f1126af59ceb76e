"""Opt-in pytest fixture: ``pytest_plugins = ["airflow_provider_bitscale.emulator.pytest_plugin"]``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_bitscale.emulator.server import Emulator


@pytest.fixture(scope="session")
def _bitscale_emulator_server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def bitscale_emulator(_bitscale_emulator_server: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return a local BitScale in its start state, also the connection ``bitscale_default`` of this test."""
    _bitscale_emulator_server.control.reset()
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", _bitscale_emulator_server.connection_json())
    return _bitscale_emulator_server

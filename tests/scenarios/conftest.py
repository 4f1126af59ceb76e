from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch import durations, watch
from tests.api.fixtures import client, each_contract, emulator, emulators, open_client

__all__ = ["client", "each_contract", "emulator", "emulators", "open_client"]


@pytest.fixture(autouse=True)
def _looks_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs take a tenth of a second here, not the seconds of real ones."""
    for module in (durations, watch):
        monkeypatch.setattr(module, "FIRST_LOOK", 0.1)

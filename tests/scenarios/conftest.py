from __future__ import annotations

import pytest

from airflow_provider_bitscale.batch import polls
from airflow_provider_bitscale.batch.plan import poll_schedule
from airflow_provider_bitscale.runs import run_times
from tests.support.fixtures import client, each_contract, emulator, emulators, open_client

__all__ = ["client", "each_contract", "emulator", "emulators", "open_client"]


@pytest.fixture(autouse=True)
def _polls_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs take a tenth of a second here, not the seconds of real ones."""
    for module in (run_times, poll_schedule):
        monkeypatch.setattr(module, "FIRST_POLL", 0.1)
    monkeypatch.setattr(polls, "POLL_AGAIN_SECONDS", 0.5)

from __future__ import annotations

import pytest

from airflow_provider_bitscale.emulator import Emulator
from tests.support.fixtures import contract, emulators
from tests.support.fixtures import emulator as fast_emulator
from tests.support.hooks import connect

__all__ = ["contract", "emulators", "fast_emulator"]


@pytest.fixture
def emulator(fast_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A fast emulator in its start state, and `bitscale_default` leading to it."""
    connect(monkeypatch, fast_emulator)
    return fast_emulator

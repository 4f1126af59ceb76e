"""State in files and in Redis, and what is counted of its errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from airflow_provider_bitscale.api import metrics
from airflow_provider_bitscale.api.shared_state import shared_state
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from tests.support.redis import redis_server

__all__ = ["redis_server"]


class Counts:
    """Takes figures, and keeps their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def incr(self, name: str, tags: Mapping[str, str]) -> None:
        self.names.append(name)

    def timing(self, name: str, milliseconds: float, tags: Mapping[str, str]) -> None:
        """Nothing here takes note of times."""


@pytest.fixture
def counts() -> Iterator[Counts]:
    counts = Counts()
    metrics.send_to(counts)
    yield counts
    metrics.send_to(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """This user's folder, once it is made."""
    return tmp_path / f"bitscale-{os.geteuid()}"


@pytest.fixture
def backend(tmp_path: Path) -> FileBackend:
    return FileBackend(str(tmp_path))


@pytest.fixture
def state(
    backend: FileBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> SharedState:
    """The state in the folder: away for a moment only, whatever happens. Warnings alone are logged."""
    monkeypatch.setattr(shared_state, "AWAY_SECONDS", 0.0)
    monkeypatch.setattr(shared_state, "AWAY_FACTOR", 0.0)
    caplog.set_level(logging.WARNING, shared_state.log.name)
    return SharedState(backend)

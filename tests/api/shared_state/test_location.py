"""From a URL to the state behind it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_bitscale.api.limit.bookings import Book
from airflow_provider_bitscale.api.shared_state import location, private_folder
from airflow_provider_bitscale.api.shared_state.backend import Backend


def book(backend: Backend) -> bool:
    return backend.apply("limit", Book(gap=0.0, behind=0.0)).granted == 1


def test_one_state_for_all_who_name_the_same_place(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    with ThreadPoolExecutor(8) as threads:
        states = set(threads.map(lambda _: location.shared_state_of(url), range(100)))
    assert len(states) == 1
    assert location.shared_state_of(None) not in states
    assert location.shared_state_of("none") is None


def test_a_url_of_a_folder(tmp_path: Path) -> None:
    state = location.shared_state_of(f"file://{tmp_path}/with%20space")
    assert state is not None
    assert state.ask(book) is True
    assert list((tmp_path / "with space" / f"bitscale-{os.geteuid()}").glob("limit.*"))


def test_no_url_is_the_folder_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_folder, "gettempdir", lambda: str(tmp_path))
    state = location.shared_state_of(None)
    assert state is not None
    assert state.ask(book) is True
    assert list(tmp_path.glob("*/limit.*"))

"""Hints: what one process puts, another one of the same limit gets; whatever is odd is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import AsyncClient, Client
from airflow_provider_bitscale.api.shared_state.address import part_name
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES
from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend
from airflow_provider_bitscale.api.shared_state.hints import Hints
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState
from airflow_provider_bitscale.emulator import Emulator
from tests.support.clients import config_for

VALUES: list[Any] = [{"a": [1, 2.5, None, "ü"]}, [], 0, "text"]


def hints_in(folder: Path, limit: str = "limit") -> Hints:
    """As another process has them."""
    return Hints(SharedState(FileBackend(str(folder))), limit)


@pytest.mark.parametrize("value", VALUES)
def test_what_one_puts_another_gets(tmp_path: Path, value: Any) -> None:
    hints_in(tmp_path).put("grid", "g1", value, 60)
    assert hints_in(tmp_path).get("grid", "g1") == value
    assert asyncio.run(hints_in(tmp_path).aget("grid", "g1")) == value
    assert hints_in(tmp_path).get("grid", "g2") is None
    assert hints_in(tmp_path).get("run_times", "g1") is None
    assert hints_in(tmp_path, "another").get("grid", "g1") is None
    hints_in(tmp_path).delete("grid", "g1")
    assert hints_in(tmp_path).get("grid", "g1") is None


def test_the_async_twin_puts_the_same(tmp_path: Path) -> None:
    asyncio.run(hints_in(tmp_path).aput("grid", "g1", {"a": 1}, 60))
    assert hints_in(tmp_path).get("grid", "g1") == {"a": 1}


def test_only_one_has_a_claim(tmp_path: Path) -> None:
    assert hints_in(tmp_path).claim("asks", "g1", 60)
    assert not hints_in(tmp_path).claim("asks", "g1", 60)
    hints_in(tmp_path).delete("asks", "g1")
    assert hints_in(tmp_path).claim("asks", "g1", 60)


@pytest.mark.parametrize("written", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_cannot_be_read_is_none(tmp_path: Path, written: bytes) -> None:
    FileBackend(str(tmp_path)).put(part_name("limit", "grid", "'g1'"), written, 60)
    assert hints_in(tmp_path).get("grid", "g1") is None


def test_what_is_too_long_is_not_put(tmp_path: Path) -> None:
    hints_in(tmp_path).put("grid", "g1", "x" * MAX_VALUE_BYTES, 60)
    assert FileBackend(str(tmp_path)).get(part_name("limit", "grid", "'g1'")) is None


def test_an_identity_may_be_any_text(tmp_path: Path) -> None:
    hints_in(tmp_path).put("grid", "\ud800", 1, 60)
    assert hints_in(tmp_path).get("grid", "\ud800") == 1


def test_nothing_is_shared_where_there_is_no_state() -> None:
    hints = Hints(None, "limit")
    hints.put("grid", "g1", 1, 60)
    asyncio.run(hints.aput("grid", "g1", 1, 60))
    hints.delete("grid", "g1")
    assert hints.get("grid", "g1") is None
    assert asyncio.run(hints.aget("grid", "g1")) is None
    assert hints.claim("asks", "g1", 60)
    assert hints.claim("asks", "g1", 60)


def test_a_state_that_is_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    hints = hints_in(tmp_path / "file")
    hints.put("grid", "g1", 1, 60)
    assert hints.get("grid", "g1") is None
    assert hints.claim("asks", "g1", 60)


def test_clients_of_one_limit_have_the_same_hints(tmp_path: Path) -> None:
    async def get(config: Any) -> Any:
        async with AsyncClient(config) as client:
            return await client.hints.aget("grid", "g1")

    with Emulator() as emulator:
        config = config_for(emulator, shared_state_url=f"file://{tmp_path}")
        with Client(config) as client:
            client.hints.put("grid", "g1", 1, 60)
        assert asyncio.run(get(config)) == 1
        assert asyncio.run(get(config_for(emulator, workspace_id="another"))) is None

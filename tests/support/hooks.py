"""The hook of a connection, its sync and its async half behind one name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bitscale.api.config import WORKSPACE_KEY
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.support.clients import UNPACED

HookCaller = Callable[..., Any]
KINDS = ("sync", "async")


def connect(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, conn_id: str = "bitscale_default", **extra: Any
) -> None:
    """Make an emulator a connection."""
    connection = emulator.connection()
    unpaced = UNPACED if emulator.contract == WORKSPACE_KEY else {}
    connection["extra"] = {**connection["extra"], **unpaced, **extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def hook_caller(kind: str) -> HookCaller:
    """Calls a method of a new hook by its name, or its async twin in a loop of its own."""
    hook = BitScaleHook()
    if kind == "sync":
        return lambda method, *args, **kwargs: getattr(hook, method)(*args, **kwargs)
    return lambda method, *args, **kwargs: asyncio.run(getattr(hook, f"a{method}")(*args, **kwargs))

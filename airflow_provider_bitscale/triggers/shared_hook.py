"""One hook for the triggers that start together: a thousand of them read their connection once."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from weakref import WeakValueDictionary

from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

# Triggers that start this much after a connection was changed are sure to see the change.
FRESH_SECONDS = 5.0


def shared_hook(bitscale_conn_id: str) -> BitScaleHook:
    """Return the hook shared by triggers of this connection and loop that started within seconds."""
    key = (asyncio.get_running_loop(), bitscale_conn_id)
    hook = _shared.get(key)
    if hook is None or time.monotonic() >= hook.stale_at:
        hook = _shared[key] = _SharedHook(bitscale_conn_id)
    return hook


class _SharedHook(BitScaleHook):
    def __init__(self, bitscale_conn_id: str) -> None:
        super().__init__(bitscale_conn_id)
        self.stale_at = time.monotonic() + FRESH_SECONDS
        self._reading = asyncio.Lock()

    async def aconfig(self) -> ClientConfig:
        async with self._reading:
            if self._config is None:
                # Loading an HTTP library takes a while, in which the event loop has other triggers to serve.
                await asyncio.to_thread(import_module, "airflow_provider_bitscale.api.shared_client")
            return await super().aconfig()


_shared: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, str], _SharedHook] = WeakValueDictionary()

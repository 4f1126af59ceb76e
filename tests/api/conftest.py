from __future__ import annotations

from tests.api.fixtures import api_emulator, client, emulator, open_client

__all__ = ["api_emulator", "client", "emulator", "open_client"]

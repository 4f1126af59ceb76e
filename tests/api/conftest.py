from __future__ import annotations

from tests.api.fixtures import client, contract, emulator, emulators, open_client

__all__ = ["client", "contract", "emulator", "emulators", "open_client"]

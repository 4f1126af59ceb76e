from __future__ import annotations

from tests.api.fixtures import client, each_contract, emulator, emulators, open_client

__all__ = ["client", "each_contract", "emulator", "emulators", "open_client"]

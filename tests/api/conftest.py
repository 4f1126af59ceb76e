from __future__ import annotations

from tests.support.fixtures import bare_environment, client, contract, emulator, emulators, open_client

__all__ = ["bare_environment", "client", "contract", "emulator", "emulators", "open_client"]

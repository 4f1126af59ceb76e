"""A read of the task's state store whose "there is none" can be believed: to begin again is to pay again."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_bitscale.runs.run_record import Store

PROBE_KEY = "bitscale_probe"


def read_certainly(store: Store, key: str) -> Any:
    """What is kept under a key; None if the store proves that it can be read, and has nothing there.

    Airflow's SDK turns each JSON 404 into None, also that of a proxy, or of a server that is not ready. So a
    key that is not found is asked for again, in between reads of a value that was just written.

    :raises ConnectionError: the store does not tell that value either; a retry may find what is there.
    """
    if (stored := store.get(key)) is not None:
        return stored
    token = secrets.token_hex(4)
    store.set(PROBE_KEY, token)
    for _ in range(2):
        if (stored := store.get(key)) is not None:
            break
        if store.get(PROBE_KEY) != token:
            raise ConnectionError(
                "the task's state store does not tell what was just written to it, so what an earlier try "
                "has paid for is not known; nothing was submitted"
            )
    store.delete(PROBE_KEY)
    return stored

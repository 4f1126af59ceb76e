"""From a URL to the shared state behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_provider_bitscale.api.shared_state.address import NONE
from airflow_provider_bitscale.api.shared_state.shared_state import SharedState

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.shared_state.backend import Backend

_states: dict[str | None, SharedState] = {}


def shared_state_of(url: str | None) -> SharedState | None:
    """Return the state at a URL, one for all in this process; None if nothing is shared.

    :param url: ``file:///folder``, ``redis://`` or ``rediss://`` with user, password, host and database, or
        ``none``; None for a folder of this user in the machine's temporary folder.
    :raises ConfigurationError: a library is missing that it needs.
    """
    if url == NONE:
        return None
    if url not in _states:
        # Of two threads that come at once, one makes a state for nobody. A lock might be held in a fork.
        _states.setdefault(url, SharedState(_backend_of(url)))
    return _states[url]


def _backend_of(url: str | None) -> Backend:
    parts = urlsplit(url or "file:")
    if parts.scheme == "file":
        from airflow_provider_bitscale.api.shared_state.file_backend import FileBackend

        return FileBackend(unquote(parts.path) or None)
    from airflow_provider_bitscale.api.shared_state.redis_backend import RedisBackend

    return RedisBackend(str(url))

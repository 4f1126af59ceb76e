"""A user's own folder for shared state: nobody else reads it, writes to it, or keeps it from being made."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from tempfile import gettempdir

from airflow_provider_bitscale.api.shared_state.backend import UnavailableError

# Where anybody may write, somebody else may have taken a name.
CANDIDATES = 5


def private_folder(parent: str | None) -> str:
    """Return the path of this user's folder, which is made if there is none.

    :param parent: made if it is not there, with those above it; None for the machine's temporary folder.
    :raises UnavailableError: others have taken all its names.
    :raises OSError: it cannot be made.
    """
    parent = parent or gettempdir()
    paths = [os.path.join(parent, name) for name in _names(os.geteuid())]
    # One that is there comes first: all processes are to agree, whatever others made or removed since.
    for path in paths:
        if _is_ours(path):
            return path
    os.makedirs(parent, 0o700, exist_ok=True)
    for path in paths:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        if _is_ours(path):
            return path
    raise UnavailableError(f"other users have taken the names of this user's folder in {parent}")


def _names(user: int) -> list[str]:
    return [f"bitscale-{user}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, CANDIDATES + 1)))]


def _is_ours(path: str) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    if found.st_mode & 0o777 != 0o700:
        os.chmod(path, 0o700)
    return True

"""Pure: what URLs of shared state mean, and what a client's limit is called there.

Names are made of the base URL and the workspace, or of a hash that the API key is the key of: no key can be
read out of a name.
"""

from __future__ import annotations

import hmac
from urllib.parse import unquote, urlsplit

NONE = "none"
_SCHEMES = ("file", "redis", "rediss")
# The password of a client certificate's key.
_PASSWORD_OPTION = "ssl_password"  # noqa: S105


def url_problem(url: str | None) -> str | None:
    """Return what is wrong with a URL of shared state; None if nothing is."""
    if url in (None, NONE):
        return None
    try:
        parts = urlsplit(str(url))
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "shared_state_url is not a URL"
    if parts.scheme not in _SCHEMES:
        return "shared_state_url must be none, or begin with file://, redis:// or rediss://"
    folder = unquote(parts.path)
    if parts.scheme == "file" and (host or not folder.startswith("/") or folder == "/" or "\0" in folder):
        return "shared_state_url must name a folder of this machine, such as file:///var/lib/airflow/bitscale"
    if parts.scheme != "file" and not host:
        return "shared_state_url names no host"
    return None


def url_secrets(url: str | None) -> tuple[str, ...]:
    """Return the passwords in a URL of shared state, as they are written and as they are meant."""
    if url is None or url_problem(url) is not None:
        return ()
    parts = urlsplit(url)
    options = (option.partition("=") for option in parts.query.split("&"))
    passwords = [parts.password, *(value for name, _, value in options if name == _PASSWORD_OPTION)]
    return tuple(dict.fromkeys(text for each in passwords if each for text in (each, unquote(each))))


def limit_name(base_url: str, workspace_id: str | None, api_key: str) -> str:
    """Return the name of a limit: the same in all processes, and nobody can read a key out of it.

    :param workspace_id: whose limit it is; None where only the key names the workspace.
    """
    owner, key = ("workspace", "bitscale") if workspace_id else ("key", api_key)
    message = "\n".join((base_url, owner, workspace_id or ""))
    return hmac.digest(key.encode(), message.encode(), "sha256").hex()[:32]


def part_name(limit: str, kind: str, identity: str) -> str:
    """Return the name of a value that belongs to a limit.

    :param kind: what it is, a word.
    :param identity: of what, such as the id of a grid.
    """
    return f"{limit}.{kind}.{hmac.digest(limit.encode(), identity.encode(), 'sha256').hex()[:16]}"

"""Pure: whom a delivery is for, in the query of the URL that BitScale is given at a submission.

BitScale signs the body of a delivery, and not its URL: what stands there is signed here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import astuple, dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

TOKEN_PARAMETER = "bitscale_token"  # noqa: S105 - the name of a parameter
_SIGNED_BYTES = 16


@dataclass(frozen=True)
class Addressee:
    """A task instance, and which of its submissions is meant.

    :param key: of the submission, made anew for each: the name under which the task finds the delivery.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str


def with_token(webhook_url: str, addressee: Addressee, secret: str) -> str:
    """A URL with the addressee in its query."""
    url = urlsplit(webhook_url)
    written = json.dumps(astuple(addressee), separators=(",", ":")).encode()
    token = _text(_signature(written, secret) + written)
    return urlunsplit(url._replace(query=urlencode([*parse_qsl(url.query), (TOKEN_PARAMETER, token)])))


def read_token(token: str | None, secret: str) -> Addressee | None:
    """The addressee, or None where there is none, or one that somebody else wrote."""
    if not token or not token.isascii():
        return None
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        signature, written = data[:_SIGNED_BYTES], data[_SIGNED_BYTES:]
        if not hmac.compare_digest(signature, _signature(written, secret)):
            return None
        return Addressee(*json.loads(written))
    except (ValueError, TypeError):
        return None


def _signature(written: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), b"bitscale_token" + written, hashlib.sha256).digest()[:_SIGNED_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

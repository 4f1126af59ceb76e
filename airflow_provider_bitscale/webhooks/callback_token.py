"""Pure: the token in the query of a callback URL, which says whom a delivery is for.

BitScale signs the body of a delivery, but not its URL. So the token has a signature of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import astuple, dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from airflow_provider_bitscale.api.deliveries import DeliveryRefusedError

RECEIVER_PATH = "/bitscale/webhooks"
TOKEN_PARAMETER = "bitscale_token"  # noqa: S105 - the name of a parameter
WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason to refuse a delivery
_SIGNED_BYTES = 16
# The limits of Airflow's database.
_NAME_CHARACTERS = 250
_LARGEST_NUMBER = 2**31 - 1
# A signed token may name no other key of a task's state store.
_KEY = re.compile(r"bitscale_delivery_[0-9a-f]{16}")
_QUEUE_KEY = re.compile(r"bitscale_mailbox_\d{8}T\d{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True)
class DeliveryAddress:
    """The task instance that a delivery is for, and the key of its stores under which the delivery is kept.

    :param key: of one submission, or of the delivery queue of a batch.
    :param bitscale_conn_id: the connection that the task submitted with, whose secret signs the delivery.
    """

    dag_id: str
    dag_run_id: str
    task_id: str
    map_index: int
    key: str
    bitscale_conn_id: str

    def as_dict(self) -> dict[str, Any]:
        """Return the address for an XCom, which names the DAG run ``run_id``, as Airflow does."""
        return dict(zip(ADDRESS_FIELDS, astuple(self), strict=True))


ADDRESS_FIELDS = ("dag_id", "run_id", "task_id", "map_index", "key", "bitscale_conn_id")


@dataclass(frozen=True)
class Claims:
    """What a token says.

    :param row: of the batch that the task runs; None if it runs no batch.
    """

    address: DeliveryAddress
    row: int | None = None


def new_key() -> str:
    """Return a new key, for one submission."""
    return f"bitscale_delivery_{secrets.token_hex(8)}"


def queue_key(batch_id: str) -> str:
    """Return the key of the delivery queue of a batch."""
    return f"bitscale_mailbox_{batch_id}"


def leads_to_receiver(webhook_url: str, bitscale_conn_id: str) -> bool:
    """Whether the path of a URL is the receiver's for this connection; its host may be a proxy's."""
    return urlsplit(webhook_url).path.rstrip("/").endswith(f"{RECEIVER_PATH}/{bitscale_conn_id}")


def with_token(webhook_url: str, claims: Claims, secret: str) -> str:
    """Return the URL with a token of the claims in its query."""
    url = urlsplit(webhook_url)
    written = json.dumps([*astuple(claims.address), claims.row], separators=(",", ":")).encode()
    token = _text(_signature(written, secret) + written)
    query = urlencode({TOKEN_PARAMETER: token})
    return urlunsplit(url._replace(query=f"{url.query}&{query}" if url.query else query))


def read_token(token: str | None, secret: str, bitscale_conn_id: str) -> Claims | None:
    """Return the claims of a token.

    :param secret: of this connection.
    :return: None if there is no token, or its signature is wrong.
    :raises DeliveryRefusedError: ``wrong_token``: well signed, but no valid claims of this connection.
    """
    if not token or not token.isascii():
        return None
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    signature, written = data[:_SIGNED_BYTES], data[_SIGNED_BYTES:]
    if not hmac.compare_digest(signature, _signature(written, secret)):
        return None
    try:
        *fields, row = json.loads(written)
        claims = Claims(DeliveryAddress(*fields), row)
    except (ValueError, TypeError, RecursionError):
        claims = None
    if claims is None or not _is_valid(claims) or claims.address.bitscale_conn_id != bitscale_conn_id:
        raise DeliveryRefusedError("the token names no task of this connection", code=WRONG_TOKEN)
    return claims


def _is_valid(claims: Claims) -> bool:
    address, row = claims.address, claims.row
    names = (address.dag_id, address.dag_run_id, address.task_id, address.bitscale_conn_id)
    return (
        all(isinstance(name, str) and 0 < len(name) <= _NAME_CHARACTERS for name in names)
        and all(name.isprintable() for name in names)
        and _is_number(address.map_index, least=-1)
        and (row is None or _is_number(row, least=0))
        and isinstance(address.key, str)
        and (_KEY if row is None else _QUEUE_KEY).fullmatch(address.key) is not None
    )


def _is_number(value: Any, *, least: int) -> bool:
    return type(value) is int and least <= value <= _LARGEST_NUMBER


def _signature(written: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), b"bitscale_token" + written, hashlib.sha256).digest()[:_SIGNED_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

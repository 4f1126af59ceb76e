"""Whom a delivery is for: written in a URL, and read back by its writer alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_bitscale.api.deliveries import DeliveryRefusedError
from airflow_provider_bitscale.webhooks.callback_token import (
    TOKEN_PARAMETER,
    WRONG_TOKEN,
    Claims,
    DeliveryAddress,
    leads_to_receiver,
    new_key,
    queue_key,
    read_token,
    with_token,
)

SECRET = "a secret of no connection"
KEY = "bitscale_delivery_0123456789abcdef"
QUEUE = queue_key("20260101T000000Z-0123ab")
HOME = DeliveryAddress("dag", "manual__2026-01-01T00:00:00+00:00", "group.task", 3, KEY, "c")
URL = "https://airflow.example.com/bitscale/webhooks/c"


def written_and_read(address: DeliveryAddress, row: Any = None) -> Claims | None:
    return read_token(token_in(with_token(URL, Claims(address, row), SECRET)), SECRET, "c")


def token_in(url: str) -> str:
    [token] = parse_qs(urlsplit(url).query)[TOKEN_PARAMETER]
    return token


@pytest.mark.parametrize(
    "address",
    [
        HOME,
        replace(HOME, map_index=-1),
        replace(HOME, dag_id="ä dag", dag_run_id="a/b?c&d=e#f"),
    ],
    ids=str,
)
def test_what_is_written_is_read_back(address: DeliveryAddress) -> None:
    assert written_and_read(address) == Claims(address)


def test_an_xcom_names_the_dag_run_as_airflow_does() -> None:
    address = DeliveryAddress("d", "manual__1", "t", -1, "k", "c")
    assert address.as_dict() == {
        "dag_id": "d",
        "run_id": "manual__1",
        "task_id": "t",
        "map_index": -1,
        "key": "k",
        "bitscale_conn_id": "c",
    }


def test_a_row_of_a_batch_is_read_back() -> None:
    assert written_and_read(replace(HOME, key=QUEUE), 17) == Claims(replace(HOME, key=QUEUE), 17)


def test_the_rest_of_the_url_stays() -> None:
    plain = "https://h.example.com:8443/p%20q?flag&sig=a%20b&e="
    assert with_token(f"{plain}#f", Claims(HOME), SECRET).startswith(f"{plain}&{TOKEN_PARAMETER}=")
    assert with_token(f"{plain}#f", Claims(HOME), SECRET).endswith("#f")


def flipped(token: str, position: int) -> str:
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[position] ^= 1
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("position", [0, 15, 16, 20, -1])
def test_a_token_that_somebody_changed_is_none(position: int) -> None:
    assert read_token(flipped(token_in(with_token(URL, Claims(HOME), SECRET)), position), SECRET, "c") is None


@pytest.mark.parametrize("token", [None, "", "a", "ä", "AAAA", "A" * 5_000, "!!!!", "null"])
def test_what_is_no_token_is_none(token: str | None) -> None:
    assert read_token(token, SECRET, "c") is None


def test_a_token_of_another_secret_is_none() -> None:
    assert read_token(token_in(with_token(URL, Claims(HOME), "another secret")), SECRET, "c") is None


@pytest.mark.parametrize(
    ("key", "row"),
    [
        *((key, None) for key in ("return_value", "bitscale_run", "bitscale_delivery_", f"{KEY}0", QUEUE)),
        *((key, 0) for key in (KEY, "bitscale_mailbox_", f"{QUEUE}_00000", "bitscale_batch")),
        *((QUEUE, row) for row in (-1, True, 0.5, "0", [0], 2**31)),
        *((key, None) for key in (None, 7, [KEY])),
    ],
)
def test_whoever_can_sign_cannot_write_under_any_name(key: Any, row: Any) -> None:
    refused(replace(HOME, key=key), row)


@pytest.mark.parametrize("field", ["dag_id", "dag_run_id", "task_id"])
@pytest.mark.parametrize(
    "name", [None, 7, True, ["d"], {}, "", "a" * 251, "a\0", "\ud800", "a\nb"], ids=ascii
)
def test_a_name_that_no_task_has_is_refused(field: str, name: Any) -> None:
    refused(replace(HOME, **{field: name}))


@pytest.mark.parametrize("map_index", [None, "3", 1.0, True, -2, 2**31, 10**30], ids=repr)
def test_a_map_index_that_no_task_has_is_refused(map_index: Any) -> None:
    refused(replace(HOME, map_index=map_index))


@pytest.mark.parametrize("conn_id", ["another", "", None, "C"])
def test_a_token_for_a_task_of_another_connection_is_refused(conn_id: Any) -> None:
    refused(replace(HOME, bitscale_conn_id=conn_id))


@pytest.mark.parametrize("written", [b"", b"{}", b"7", b"[]", b"[1, 2]", b"\xff", b"[" * 100_000])
def test_what_is_signed_right_and_is_nothing_is_refused(written: bytes) -> None:
    signed = hmac.new(SECRET.encode(), b"bitscale_token" + written, hashlib.sha256).digest()[:16] + written
    with pytest.raises(DeliveryRefusedError) as caught:
        read_token(base64.urlsafe_b64encode(signed).decode(), SECRET, "c")
    assert caught.value.code == WRONG_TOKEN


def refused(address: DeliveryAddress, row: Any = None) -> None:
    """Assert that a token which says so is refused, though it is signed right."""
    with pytest.raises(DeliveryRefusedError) as caught:
        written_and_read(address, row)
    assert caught.value.code == WRONG_TOKEN


@pytest.mark.parametrize(
    ("url", "leads"),
    [
        (URL, True),
        (f"{URL}/", True),
        (f"{URL}?a=b", True),
        ("https://h.example.com/prefix/bitscale/webhooks/c", True),
        (f"{URL}2", False),
        ("https://airflow.example.com/c", False),
        ("https://airflow.example.com/?x=/bitscale/webhooks/c", False),
    ],
)
def test_which_urls_lead_to_the_receiver(url: str, leads: bool) -> None:
    assert leads_to_receiver(url, "c") is leads


def test_keys_differ() -> None:
    assert new_key() != new_key()

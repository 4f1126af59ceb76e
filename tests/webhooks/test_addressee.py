"""Whom a delivery is for: written in a URL, read back, and by nobody else."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_bitscale.webhooks.addressee import (
    TOKEN_PARAMETER,
    Addressee,
    leads_to_receiver,
    new_key,
    read_token,
    with_token,
)

SECRET = "a secret of nobody"
KEY = "bitscale_delivery_0123456789abcdef"
HOME = Addressee("dag", "manual__2026-01-01T00:00:00+00:00", "group.task", 3, KEY)
URL = "https://airflow.example.com/bitscale/webhooks/c"


def token_in(url: str) -> str:
    [token] = parse_qs(urlsplit(url).query)[TOKEN_PARAMETER]
    return token


@pytest.mark.parametrize(
    "addressee",
    [HOME, replace(HOME, map_index=-1), replace(HOME, dag_id="ä dag", run_id="a/b?c&d=e#f")],
    ids=str,
)
def test_what_is_written_is_read_back(addressee: Addressee) -> None:
    assert read_token(token_in(with_token(URL, addressee, SECRET)), SECRET) == addressee


def test_the_rest_of_the_url_stays() -> None:
    plain = "https://h.example.com:8443/p%20q?flag&sig=a%20b&e="
    assert with_token(f"{plain}#f", HOME, SECRET).startswith(f"{plain}&{TOKEN_PARAMETER}=")
    assert with_token(f"{plain}#f", HOME, SECRET).endswith("#f")


def flipped(token: str, position: int) -> str:
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[position] ^= 1
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("position", [0, 15, 16, 20, -1])
def test_a_token_that_somebody_changed_is_none(position: int) -> None:
    assert read_token(flipped(token_in(with_token(URL, HOME, SECRET)), position), SECRET) is None


@pytest.mark.parametrize("token", [None, "", "a", "ä", "AAAA", "A" * 5_000, "!!!!", "null"])
def test_what_is_no_token_is_none(token: str | None) -> None:
    assert read_token(token, SECRET) is None


def test_a_token_of_another_secret_is_none() -> None:
    assert read_token(token_in(with_token(URL, HOME, "another secret")), SECRET) is None


@pytest.mark.parametrize("key", ["return_value", "bitscale_run", "bitscale_delivery_", f"{KEY}0"])
def test_whoever_can_sign_cannot_write_under_any_name(key: str) -> None:
    assert read_token(token_in(with_token(URL, replace(HOME, key=key), SECRET)), SECRET) is None


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

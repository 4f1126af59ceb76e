"""The receiver's URL: one for each submission, and the secret in none of them."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from airflow_provider_bitscale.webhooks import callback_url
from airflow_provider_bitscale.webhooks.callback_token import Claims, read_token
from airflow_provider_bitscale.webhooks.callback_url import CallbackUrl
from airflow_provider_bitscale.webhooks.quiet_log import QuietLog
from airflow_provider_bitscale.webhooks.served_connections import ServedConnections
from tests.webhooks.test_callback_token import HOME, QUEUE, SECRET, URL, token_in


def test_each_submission_has_a_url_of_its_own() -> None:
    receiver = CallbackUrl(URL, SECRET)
    queue = replace(HOME, key=QUEUE)
    urls = [receiver.addressed_to(HOME), receiver.addressed_to(queue, 3)]
    assert [read_token(token_in(url), SECRET, "c") for url in urls] == [
        Claims(HOME),
        Claims(queue, 3),
    ]


@pytest.mark.parametrize(
    ("url", "secret", "comes_back", "is_warned_of"),
    [
        (None, SECRET, False, False),
        (URL, SECRET, True, False),
        (f"{URL}?team=data", SECRET, True, False),
        ("https://elsewhere.example.com/hook", SECRET, False, False),
        (f"{URL}_of_another", SECRET, False, False),
        (URL, "", False, True),
        ("https://elsewhere.example.com/hook", "", False, False),
    ],
)
def test_what_comes_back_to_airflow(
    url: str | None,
    secret: str,
    comes_back: bool,
    is_warned_of: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    extra = {"workspace_id": "w", "webhook_secret": secret}
    connection = {"conn_type": "bitscale", "password": "sk-x", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(connection))
    receiver = CallbackUrl.of(url, BitScaleHook("c"))
    assert receiver == (CallbackUrl(str(url), SECRET) if comes_back else None)
    assert ("no webhook_secret" in caplog.text) is is_warned_of


@pytest.mark.parametrize(
    ("trust", "url", "is_warned_of"),
    [
        (True, "https://elsewhere.example.com/hook", True),
        (True, f"{URL}_of_another", True),
        (False, "https://elsewhere.example.com/hook", False),
        (True, f"{URL}/", False),
        (True, None, False),
    ],
)
def test_trust_in_deliveries_that_do_not_come_is_warned_of(
    trust: bool,
    url: str | None,
    is_warned_of: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = {
        "conn_type": "bitscale",
        "password": "sk-x",
        "extra": {"workspace_id": "w", "webhook_secret": SECRET},
    }
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(connection))
    CallbackUrl.of(url, BitScaleHook("c"), trust=trust)
    assert ("trust_webhook does nothing" in caplog.text) is is_warned_of


def test_the_secret_is_not_shown() -> None:
    receiver = CallbackUrl(URL, SECRET)
    assert SECRET not in repr(receiver) + receiver.addressed_to(HOME)


@pytest.mark.parametrize(("secret", "told"), [("fifteen-letters", True), ("sixteen-letters-", False)])
def test_a_secret_that_can_be_guessed_is_warned_of_where_it_signs(
    secret: str, told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"workspace_id": "w", "webhook_secret": secret}
    connection = {"conn_type": "bitscale", "password": "sk-x", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__BITSCALE__WEBHOOK_CONNECTIONS", "c")
    assert CallbackUrl.of(URL, BitScaleHook("c")) is not None
    assert asyncio.run(ServedConnections(QuietLog(logging.getLogger("receiver"))).settings()) is not None
    warned = [record.name for record in caplog.records if "fewer than 16 characters" in record.message]
    assert warned == ([callback_url.__name__, "receiver"] if told else [])
    assert secret not in caplog.text

"""An Airflow connection, however it was written down, is the same configuration; a wrong one says it all."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_bitscale import api
from airflow_provider_bitscale.api import ClientConfig
from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
from tests.airflow.conftest import Connect

KEY = "key-0f3a9/+=c7d21e"
EXTRA = {
    "workspace_id": "ws_abc123",
    "timeout": 12.5,
    "requests_per_minute": 120,
    "webhook_secret": "whsec-51c0b2",
    "allow_insecure_http": False,
    "verify": False,
    "proxies": {"https": "http://proxy:3128"},
}
BASE_URL = "https://bitscale.example/api/v1"
CONFIG = ClientConfig(
    api_key=KEY,
    workspace_id="ws_abc123",
    base_url=BASE_URL,
    timeout=12.5,
    requests_per_minute=120,
    verify=False,
    proxies={"https": "http://proxy:3128"},
)
AS_TEXT = {name: value if isinstance(value, str) else json.dumps(value) for name, value in EXTRA.items()}


def config() -> ClientConfig:
    return BitScaleHook().config


def as_saved_by_the_form(**changes: Any) -> str:
    """The form leaves what is empty as empty text or null, and sends JSON as text."""
    fields = {"host": BASE_URL, "login": "", "schema": "", "port": None, "password": KEY, **changes}
    return Connection(conn_id="bitscale_default", conn_type="bitscale", **fields).as_json()


WRITTEN_DOWN = {
    "JSON": json.dumps({"conn_type": "bitscale", "host": BASE_URL, "password": KEY, "extra": EXTRA}),
    "JSON, extra as text": json.dumps(
        {"conn_type": "bitscale", "host": BASE_URL, "password": KEY, "extra": json.dumps(AS_TEXT)}
    ),
    "the form": as_saved_by_the_form(extra=json.dumps({**EXTRA, "proxies": AS_TEXT["proxies"]})),
    "URI made by Airflow": Connection(
        conn_id="x", conn_type="bitscale", host=BASE_URL, password=KEY, extra=json.dumps(EXTRA)
    ).get_uri(),
    "URI by hand": f"bitscale://:key-0f3a9%2F%2B%3Dc7d21e@bitscale.example/?{urlencode(AS_TEXT)}",
}


@pytest.mark.parametrize("written", WRITTEN_DOWN.values(), ids=WRITTEN_DOWN)
def test_the_same_connection_is_the_same_configuration(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", written)
    assert config() == CONFIG


@pytest.mark.parametrize("empty", ["", None])
def test_fields_left_empty_in_the_form_have_their_defaults(
    empty: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = as_saved_by_the_form(host=empty, extra=json.dumps(dict.fromkeys(EXTRA, empty)))
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", saved)
    assert config() == ClientConfig(api_key=KEY)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "https://api.bitscale.ai/api/v1"),
        ({"host": "  "}, "https://api.bitscale.ai/api/v1"),
        ({"host": "api.example"}, "https://api.example/api/v1"),
        ({"host": "api.example/"}, "https://api.example/api/v1"),
        ({"host": "api.example/api/v2"}, "https://api.example/api/v2"),
        ({"host": "https://api.example"}, "https://api.example/api/v1"),
        ({"host": "https://api.example/bitscale/"}, "https://api.example/bitscale"),
        ({"host": " https://api.example/api/v1/ \n"}, "https://api.example/api/v1"),
        ({"host": "api.example", "port": 8443}, "https://api.example:8443/api/v1"),
        ({"host": "https://api.example:99/x", "port": 8443}, "https://api.example:99/x"),
        ({"host": "127.0.0.1", "port": 8080, "schema": "http"}, "http://127.0.0.1:8080/api/v1"),
        ({"host": "http://localhost:8080"}, "http://localhost:8080/api/v1"),
        ({"host": "http://[::1]", "port": 8080}, "http://[::1]:8080/api/v1"),
        ({"host": "http://[::1]:8080/v1"}, "http://[::1]:8080/v1"),
        ({"host": "::1", "port": 8080, "schema": "http"}, "http://[::1]:8080/api/v1"),
        ({"host": "2001:db8::1"}, "https://[2001:db8::1]/api/v1"),
    ],
)
def test_base_url_forms(fields: dict[str, Any], base_url: str, connect: Connect) -> None:
    connect(password=KEY, **fields)
    assert config().base_url == base_url


@pytest.mark.parametrize("around", ["{}\n", " {}", "\t{}\r\n"])
def test_whitespace_around_a_pasted_key_is_dropped(around: str, connect: Connect) -> None:
    connect(password=around.format(KEY))
    assert config().api_key == KEY


@pytest.mark.parametrize(
    ("host", "allowed", "accepted"),
    [
        ("http://bitscale.example", None, False),
        ("http://bitscale.example", False, False),
        ("http://bitscale.example", "false", False),
        ("http://10.0.0.7:8080", None, False),
        ("http://localhost.evil.example", None, False),
        ("http://127.0.0.1.evil.example", None, False),
        ("http://bitscale.example", True, True),
        ("http://bitscale.example", "True", True),
        ("http://127.0.0.1:8080", None, True),
        ("http://emulator.localhost", None, False),
        ("https://bitscale.example", None, True),
    ],
)
def test_plain_http_is_for_this_machine_unless_allowed(
    host: str, allowed: Any, accepted: bool, connect: Connect
) -> None:
    connect(host=host, password=KEY, extra={"allow_insecure_http": allowed})
    if accepted:
        assert config().base_url == f"{host}/api/v1"
    else:
        with pytest.raises(api.ConfigurationError, match="use https or allow_insecure_http"):
            config()


WRONG: dict[str, tuple[Any, str]] = {
    "api_contract": (["v1.1.0"], "api_contract must be text, not a list"),
    "workspace_id": (["ws"], "workspace_id must be text, not a list"),
    "timeout": ("soon", "timeout must be a number, not 'soon'"),
    "requests_per_minute": (True, "requests_per_minute must be a number, not True"),
    "webhook_secret": (["whsec-51c0b2"], "webhook_secret must be text"),
    "allow_insecure_http": ("maybe", "allow_insecure_http must be true or false, not 'maybe'"),
    "verify": (3, "verify must be true, false or a path, not 3"),
    "proxies": ("http://me:hunter2@proxy", "proxies must be a JSON object of scheme to URL"),
    "workspaceid": (
        "ws",
        "workspaceid is not an extra field of a BitScale connection; did you mean workspace_id?",
    ),
    "zzz": (1, "zzz is not an extra field of a BitScale connection; known are api_contract, workspace_id,"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_named(name: str, connect: Connect) -> None:
    value, message = WRONG[name]
    connect(password=KEY, extra={name: value})
    with pytest.raises(api.ConfigurationError) as caught:
        config()
    assert message in str(caught.value)
    assert isinstance(caught.value, AirflowFailException)


def test_all_that_is_wrong_is_named_in_one_error_without_a_secret(connect: Connect) -> None:
    connect(host="http://bitscale.example", password=f"{KEY}\nX", extra={k: v for k, (v, _) in WRONG.items()})
    with pytest.raises(api.ConfigurationError) as caught:
        config()
    said = str(caught.value)
    for _, message in WRONG.values():
        assert message in said
    assert "the API key has characters that no header can carry" in said
    assert "would send the API key unencrypted" in said
    for secret in (KEY, "whsec-51c0b2", "hunter2"):
        assert secret not in said


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"password": None}, "the API key is missing"),
        ({"password": " \n"}, "the API key is missing"),
        ({"extra": "[1]"}, "the extra fields are not a JSON object"),
        ({"extra": "nonsense"}, "the extra fields are not a JSON object"),
        ({"extra": {"api_contract": "v2"}}, "api_contract must be v1.1.0 or workspace-key, not 'v2'"),
        (
            {"extra": {"api_contract": "workspace-key", "workspace_id": "ws_1"}},
            "workspace_id must be empty under workspace-key",
        ),
        ({"extra": {"timeout": 0}}, "timeout must be a number of seconds above 0, not 0.0"),
        ({"extra": {"timeout": "nan"}}, "timeout must be a number of seconds above 0"),
        ({"extra": {"requests_per_minute": -1}}, "requests_per_minute must be above 0"),
        ({"extra": {"verify": "/no/such.pem"}}, "verify must be the path of a PEM file"),
        ({"extra": {"workspace_id": "ws\r\nx: y"}}, "is not an id"),
        ({"host": "ftp://bitscale.example"}, "the base URL must begin with https://"),
        ({"host": "https://me:hunter2@bitscale.example"}, "may not hold credentials"),
        ({"host": "https://bitscale.example?x=1"}, "may not hold a query or a fragment"),
        ({"host": "https://bitscale.example:port"}, "the base URL must begin with https://"),
    ],
)
def test_what_cannot_be_used_is_refused(fields: dict[str, Any], message: str, connect: Connect) -> None:
    connect(**{"password": KEY, **fields})
    with pytest.raises(api.ConfigurationError) as caught:
        config()
    assert message in str(caught.value)
    assert KEY not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_configuration_does_not_show_its_key(connect: Connect) -> None:
    connect(password=KEY, extra=EXTRA)
    assert KEY not in repr(config())
    assert "whsec" not in repr(config())


@pytest.mark.parametrize(
    ("extra", "settings"),
    [
        ({}, None),
        ({"webhook_secret": "", "webhook_signature_encoding": "hex"}, None),
        ({"webhook_secret": "whsec-51c0b2"}, api.WebhookSettings("whsec-51c0b2")),
        (
            {
                "webhook_secret": "whsec-51c0b2",
                "webhook_signature_header": "X-Signature",
                "webhook_signature_prefix": "v1=",
                "webhook_signature_encoding": "base64",
            },
            api.WebhookSettings("whsec-51c0b2", "X-Signature", "v1=", "base64"),
        ),
    ],
)
def test_how_deliveries_are_signed(
    extra: dict[str, Any], settings: api.WebhookSettings | None, connect: Connect
) -> None:
    connect(password=KEY, extra=extra)
    assert BitScaleHook().webhook_settings == settings


def test_wrong_settings_of_deliveries_are_named(connect: Connect) -> None:
    wrong = {"webhook_signature_header": "no header", "webhook_signature_encoding": "rot13"}
    connect(password=KEY, extra={"webhook_secret": "whsec-51c0b2", **wrong})
    for read in (config, lambda: BitScaleHook().webhook_settings):
        with pytest.raises(api.ConfigurationError) as caught:
            read()
        assert all(name in str(caught.value) for name in wrong)
        assert "whsec" not in str(caught.value)

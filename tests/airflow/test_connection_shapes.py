"""The fields of a connection, of any shape, are read; or one error says what is wrong, without a secret."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from airflow.models.connection import Connection as StoredConnection
from airflow.sdk import Connection

from airflow_provider_bitscale.api import ClientConfig, ConfigurationError
from airflow_provider_bitscale.hooks.connection_config import (
    config_from_connection,
    webhook_settings_from_fields,
)

KEY = "key-0123456789-secret"
DEEP = "[" * 100_000 + "]" * 100_000


def read(extra: Any = None, **fields: Any) -> ClientConfig:
    connection = Connection(conn_id="a", conn_type="bitscale", extra=extra, **{"password": KEY, **fields})
    config = config_from_connection(connection, {})
    webhook_settings_from_fields(extra)
    return config


# An id or a secret as it stands in the query of a URI, and the text that is meant.
IDS = {
    "12345678901234": "12345678901234",
    "12345678901234567890": "12345678901234567890",
    "1" * 100: "1" * 100,
    "0": "0",
    "007": "007",
    "-5": "-5",
    "true": "true",
    "false": "false",
    "True": "True",
    "1_000": "1_000",
    "ws_1": "ws_1",
}


@pytest.mark.parametrize(("written", "text"), IDS.items())
@pytest.mark.parametrize("kind", [Connection, StoredConnection], ids=["environment", "database"])
def test_an_id_or_a_secret_of_digits_is_text(kind: Any, written: str, text: str) -> None:
    uri = f"bitscale://:{KEY}@/?workspace_id={written}&webhook_secret={written}"
    stored = kind.from_uri(uri, conn_id="x") if kind is Connection else kind(conn_id="x", uri=uri)
    assert read(stored.extra).workspace_id == text
    settings = webhook_settings_from_fields(stored.extra)
    assert settings is not None
    assert settings.secret == text


@pytest.mark.parametrize("written", ["1e22", "1.50", "-Infinity"])
def test_a_number_that_lost_its_digits_is_told(written: str) -> None:
    for name in ("workspace_id", "webhook_secret"):
        stored = StoredConnection(conn_id="x", uri=f"bitscale://:{KEY}@/?{name}={written}")
        with pytest.raises(ConfigurationError, match=f"^{name} was read as a number.*in quotes$"):
            read(stored.extra)
        quoted = StoredConnection(conn_id="x", uri=f"bitscale://:{KEY}@/?{name}=" + quote(f'"{written}"'))
        read(quoted.extra)


def test_a_key_of_digits_is_text() -> None:
    assert read(password=12345678901234567890).api_key == "12345678901234567890"


EXTRAS: dict[str, Any] = {
    "a number of 400 digits": {"timeout": 10**400},
    "a number of 5,000 digits": {"timeout": 10**5000},
    "the text of one": '{"timeout": ' + "1" * 5000 + "}",
    "a text of 400 digits": {"requests_per_minute": "9" * 400},
    "an id of 5,000 digits": {"workspace_id": 10**5000},
    "not a number": {"timeout": float("nan")},
    "nested too deep": DEEP,
    "a value nested too deep": '{"workspace_id": ' + DEEP + "}",
    "the text of one nested too deep": {"proxies": DEEP},
    "half a character in a secret": {"webhook_secret": f"{KEY}\ud800"},
    "half a character in a prefix": {"webhook_secret": KEY, "webhook_signature_prefix": "\ud800"},
    "half a character in a name": {"\ud800": 1},
    "half a character in an id": {"workspace_id": "\udfff"},
    "half a character in a path": {"verify": "\ud800"},
    "NUL in a path": {"verify": "\0"},
    "NUL in an id": {"workspace_id": "ws\0"},
    "a list": [KEY],
    "the text of a list": f'["{KEY}"]',
    "no JSON": f"webhook_secret={KEY}",
    "a number": 5,
    "true": True,
    "a list as id": {"workspace_id": [KEY]},
    "an object as id": {"workspace_id": {"id": KEY}},
    "a list as secret": {"webhook_secret": [KEY]},
    "a list as number": {"timeout": [KEY]},
    "a list as constant": {"verify": [KEY], "allow_insecure_http": [KEY]},
    "a list of proxies": {"proxies": [f"http://u:{KEY}@proxy"]},
    "a number as proxy": {"proxies": {"https": 5}},
    "the key in another field": {"timeout": KEY},
    "the key as a field": {KEY: 1},
    "a long name": {"x" * 100_000: 1},
    "a long value": {"timeout": "x" * 100_000},
    "an id that came to nothing": {"workspace_id": "None"},
    "a secret that came to nothing": {"webhook_secret": " null"},
}


@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS.keys())
def test_what_cannot_be_read_is_one_error(extra: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(extra)
    said = str(caught.value)
    assert KEY not in said
    assert said.isprintable()
    assert len(said) < 400
    # Airflow's API server reads no more than these.
    with suppress(ConfigurationError):
        webhook_settings_from_fields(extra)


@pytest.mark.parametrize(
    "fields",
    [
        {"password": [KEY]},
        {"password": {"key": KEY}},
        {"password": 1e30},
        {"password": f"{KEY}\ud800"},
        {"password": "None"},
        {"host": [KEY]},
        {"host": 1.5},
        {"host": "\ud800"},
        {"host": "None"},
        {"schema": {"a": KEY}},
    ],
    ids=repr,
)
def test_a_field_that_cannot_be_read_is_one_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**fields)
    assert KEY not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("extra", [None, "", " ", "null", "{}", {}, '{"workspace_id": null}'])
def test_no_extra_fields_are_none(extra: Any) -> None:
    assert read(extra) == ClientConfig(api_key=KEY)


def test_a_connection_of_the_environment_is_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook

    fields = {"conn_type": "bitscale", "password": KEY, "extra": {"workspace_id": 10**30, "timeout": 10**400}}
    monkeypatch.setenv("AIRFLOW_CONN_BITSCALE_DEFAULT", json.dumps(fields))
    with pytest.raises(ConfigurationError, match="timeout must be a number, not a number that long"):
        _ = BitScaleHook().config

"""The configuration: every problem at once, and the key nowhere to be seen."""

from __future__ import annotations

from typing import Any

import certifi
import pytest

from airflow_provider_bitscale.api import ClientConfig, ConfigurationError
from airflow_provider_bitscale.api.network import warn_once
from tests.support.clients import Opener

KEY = "key-4c9f1b7de2a84f03b6d5"

PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"api_key": ""}, "API key is missing"),
    "line break in the key": ({"api_key": "abc\ndef"}, "characters that no header can carry"),
    "key with the name of a scheme": ({"api_key": "Bearer sk-live-1"}, "the word Bearer"),
    "key with umlaut": ({"api_key": "schlüssel"}, "characters that no header can carry"),
    "key with a space around": ({"api_key": " abc"}, "characters that no header can carry"),
    "empty workspace": ({"workspace_id": ""}, "workspace_id '' is not an id"),
    "workspace with line break": ({"workspace_id": "a\r\nb"}, r"workspace_id 'a\r\nb' is not an id"),
    "no scheme": ({"base_url": "api.bitscale.ai"}, "must begin with https:// and name a host"),
    "ftp": ({"base_url": "ftp://api.bitscale.ai"}, "must begin with https://"),
    "no host": ({"base_url": "https:///api/v1"}, "name a host"),
    "no port": ({"base_url": "https://host:port/"}, "must begin with https:// and name a host"),
    "half an address": ({"base_url": "https://[::1"}, "must begin with https:// and name a host"),
    "user in the URL": ({"base_url": "https://user:pass@host"}, "may not hold credentials"),
    "query in the URL": ({"base_url": "https://host/?a=b"}, "a query or a fragment"),
    "fragment in the URL": ({"base_url": "https://host/#a"}, "a query or a fragment"),
    "plain http": ({"base_url": "http://api.bitscale.ai"}, "would send the API key unencrypted"),
    "no timeout": ({"timeout": 0.0}, "timeout must be a number of seconds above 0"),
    "endless timeout": ({"timeout": float("inf")}, "timeout must be"),
    "timeout that is none": ({"timeout": float("nan")}, "timeout must be"),
    "no rate": ({"requests_per_minute": 0}, "requests_per_minute must be above 0"),
    "negative rate": ({"requests_per_minute": -1}, "requests_per_minute must be above 0"),
    "no such contract": ({"api_contract": "v2"}, "api_contract must be v1.1.0 or workspace-key, not 'v2'"),
    "a workspace beside its key": (
        {"api_contract": "workspace-key", "workspace_id": "ws_1"},
        "workspace_id must be empty under workspace-key",
    ),
    "no such file": ({"verify": "/no/such.pem"}, "verify must be the path of a PEM file"),
}


@pytest.mark.parametrize(("settings", "problem"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_each_problem_is_named(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(**{"api_key": KEY, **settings})
    assert problem in caught.value.message
    assert "; " not in caught.value.message, "there is just this one"


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(
            api_key="",
            workspace_id="\n",
            base_url="ftp://x",
            timeout=-1,
            requests_per_minute=0,
            verify="/no/such.pem",
        )
    assert len(caught.value.message.split("; ")) == 6


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"workspace_id": "ws_abc123"},
        {"base_url": "https://bitscale.example:8443/v1/"},
        {"base_url": "http://127.0.0.1:8080"},
        {"base_url": "http://[::1]:8080"},
        {"base_url": "http://localhost"},
        {"base_url": "http://bitscale.internal", "allow_insecure_http": True},
        {"verify": False},
        {"verify": certifi.where()},
        {"proxies": {"https": "http://user:secret@proxy:3128"}},
    ],
    ids=str,
)
def test_what_is_fine(settings: dict[str, Any]) -> None:
    config = ClientConfig(api_key=KEY, **settings)
    assert not config.base_url.endswith("/")
    for text in (repr(config), str(config), f"{config}"):
        assert KEY not in text
        assert "secret" not in text


@pytest.mark.parametrize("key", ["abc\ndef-secret", "schlüssel-secret", " secret "])
def test_a_key_that_is_refused_is_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(api_key=key)
    assert "secret" not in repr(caught.value)


def test_equal_configurations_are_one_and_a_new_key_is_another() -> None:
    same = [ClientConfig(api_key=KEY, proxies={"https": "http://p"}) for _ in range(2)]
    assert len({*same}) == 1
    assert ClientConfig(api_key=KEY) != ClientConfig(api_key=KEY + "x")


@pytest.mark.parametrize(
    ("key", "echo"),
    [
        pytest.param("abcDEF123", b"abcDEF123", id="as it is"),
        pytest.param("a+b/c=0123", b"a%2Bb%2Fc%3D0123", id="in a URL"),
        pytest.param("a+b/c=0123", b"a%2Bb/c%3D0123", id="in a path"),
        pytest.param("a/b01234567", b"a\\/b01234567", id="in PHP's JSON"),
        pytest.param('a"b01234567', b'a\\"b01234567', id="in JSON"),
        pytest.param("a&b01234567", b"a&amp;b01234567", id="in HTML"),
    ],
)
def test_the_key_is_scrubbed_in_every_spelling(key: str, echo: bytes) -> None:
    config = ClientConfig(api_key=key)
    assert config.scrub(b"<" + echo + b">") == b"<***>"
    assert config.scrub_text(f"ü<{echo.decode()}>") == "ü<***>"


def test_a_file_that_holds_no_certificates_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="PEM"):
        ClientConfig(api_key=KEY, verify=__file__)


def test_a_key_too_short_to_be_one_does_not_maim_the_answers() -> None:
    assert ClientConfig(api_key="run").scrub(b"run_1") == b"run_1"


@pytest.mark.parametrize(
    "base_url", ["ftp://user:hunter22@host", "user:hunter22@host", "https://u:hunter22@h"]
)
def test_credentials_in_the_base_url_are_refused_and_not_told(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(api_key=KEY, base_url=base_url)
    assert "credentials" in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_the_password_of_a_proxy_is_a_secret_too() -> None:
    config = ClientConfig(api_key=KEY, proxies={"https": "http://user:hunter22@proxy:3128"})
    assert config.scrub_text("407 from http://user:hunter22@proxy") == "407 from http://***@proxy"
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(api_key=KEY, proxies={"https": "http://user:hunter22@proxy:port"})
    assert str(caught.value).startswith("the proxy for https is not a URL of a proxy")


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({"base_url": "http://bitscale.internal:81", "allow_insecure_http": True}, "allow_insecure_http"),
        ({"base_url": "https://bitscale.internal:82", "verify": False}, "verify=false"),
        ({"base_url": "http://127.0.0.1:83", "allow_insecure_http": True, "verify": False}, None),
        ({"base_url": "https://bitscale.internal:84", "allow_insecure_http": True}, None),
    ],
    ids=["plain http", "unchecked", "this machine", "https"],
)
def test_a_connection_that_is_unsafe_is_told_once_a_process(
    open_client: Opener, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], warning: str | None
) -> None:
    warn_once.cache_clear()
    for _ in range(3):
        open_client(ClientConfig(api_key=KEY, **settings))
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.partition(":")[0] for message in told] == ([warning] if warning else [])
    assert all(settings["base_url"] in message for message in told)

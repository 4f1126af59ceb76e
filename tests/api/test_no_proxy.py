"""What goes past the proxy of the environment, for both clients alike."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api import ClientConfig
from airflow_provider_bitscale.api.network import is_excepted
from airflow_provider_bitscale.emulator import Emulator
from tests.support.clients import Opener, config_for

KEY = "key-4c9f1b7de2a84f03b6d5"

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.mark.parametrize("no_proxy", ["127.0.0.0/8", "127.0.0.1", "elsewhere.example, 127.0.0.1", "*"])
def test_no_proxy_is_followed(
    open_client: Opener, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", "127.0.0.1:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert open_client(config_for(emulator))("get_current_user").id == "usr_abc123"


@pytest.mark.parametrize(
    ("no_proxy", "base_url", "excepted"),
    [
        ("fd00::/8", "https://[fd00::1]", True),
        ("fd00::1", "https://[fd00:0::1]", True),
        ("[fd00::1]", "https://[fd00::1]", True),
        ("[FD00::1]:443", "https://[fd00::1]", True),
        ("[fd00::1]:8443", "https://[fd00::1]", False),
        ("fd00::443", "https://[fd00::]", False),
        ("10.0.0.0/8", "https://[fd00::1]", False),
        ("10.0.0.1:443", "https://10.0.0.1", True),
        ("api.host:443", "https://api.host", True),
        ("api.host:443", "https://api.host:8443", False),
        ("api.host:8443", "https://api.host:8443", True),
        ("api.host:80", "http://api.host", True),
        ("x.test,\t*.Example.test", "https://api.example.test", True),
        ("*.example.test:443", "https://api.example.test", True),
        ("*.example.test", "https://example.test.evil", False),
        ("*.example.test", "https://badexample.test", False),
        ("", "https://api.host", False),
        ("/8, [, :443, *", "https://api.host", False),
    ],
)
def test_no_proxy_is_read_as_curl_and_go_read_it(no_proxy: str, base_url: str, excepted: bool) -> None:
    assert is_excepted(base_url, no_proxy) is excepted


def test_such_a_no_proxy_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "*.example.test, fd00::/8")
    for base_url in ("https://api.example.test", "https://[fd12::1]"):
        assert ClientConfig(api_key=KEY, base_url=base_url).network.proxy is None
    assert ClientConfig(api_key=KEY, base_url="https://example.org").network.proxy is not None


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_proxy_is_none(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.setenv("https_proxy", blank)
    assert ClientConfig(api_key=KEY).network.proxy is None
    assert ClientConfig(api_key=KEY, proxies={"https": blank}).network.proxy is None
    monkeypatch.setenv("all_proxy", "http://proxy:1")
    proxy = ClientConfig(api_key=KEY).network.proxy
    assert proxy is not None
    assert (proxy.url, proxy.source) == ("http://proxy:1", "all_proxy")

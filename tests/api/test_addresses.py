"""Base URLs: equal ones are one, others differ, and what libraries would not agree on is refused."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api import ClientConfig, ConfigurationError
from airflow_provider_bitscale.api.addresses import canonical_base_url, is_loopback

HOME = "https://api.bitscale.ai/api/v1"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (HOME, HOME),
        (f"{HOME}/", HOME),
        (f"{HOME}//", HOME),
        ("https://api.bitscale.ai//api//v1", HOME),
        ("HTTPS://API.BitScale.AI/api/v1", HOME),
        ("https://api.bitscale.ai:443/api/v1", HOME),
        ("https://api.bitscale.ai:0443/api/v1", HOME),
        ("https://api.bitscale.ai:/api/v1", HOME),
        ("https://api.bitscale.ai./api/v1", HOME),
        ("https://api.bitscale.ai/%61pi/v1", HOME),
        ("https://api.bitscale.ai/API/v1", "https://api.bitscale.ai/API/v1"),
        ("https://api.bitscale.ai:80", "https://api.bitscale.ai:80"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:443", "http://127.0.0.1:443"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
        ("http://[2001:DB8::0]/", "http://[2001:db8::]"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://api.bitscale\u3002ai/api/v1", HOME),
        ("https://\uff11\uff12\uff17.0.0.1", "https://127.0.0.1"),
        ("https://bitscale_mock:8443/a%2fb", "https://bitscale_mock:8443/a%2Fb"),
        ("https://host/a%zz", "https://host/a%25zz"),
        ("https://host/grüße", "https://host/gr%C3%BC%C3%9Fe"),
    ],
)
def test_a_base_url_has_one_spelling(text: str, canonical: str) -> None:
    assert canonical_base_url(text) == canonical == canonical_base_url(canonical)
    assert ClientConfig(api_key="k", base_url=text, allow_insecure_http=True).base_url == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://host name", "blanks"),
        ("https://host\t", "blanks"),
        ("https://host\u00a0", "blanks"),
        ("ht\ntps://host", "blanks"),
        ("https://host\\.elsewhere.example", "backslashes"),
        ("http://127.0.0.1\\elsewhere.example", "backslashes"),
        ("https://user@host", "credentials"),
        ("https://https/api.bitscale.ai/api/v1", "'https' where its host should be"),
        ("https://HTTP:/api.bitscale.ai", "'http' where its host should be"),
        ("https://host:65536", "name a host"),
        ("https://host:-1", "name a host"),
        ("https://host:0", "name a host"),
        ("https://host:٤٤٣", "name a host"),
        ("https://", "name a host"),
        ("https://.", "not a name that can be looked up"),
        ("https://a..b", "not a name that can be looked up"),
        ("https://.example", "not a name that can be looked up"),
        ("https://host*", "not a name that can be looked up"),
        ("https://*.example", "not a name that can be looked up"),
        ("https://h%41st", "not a name that can be looked up"),
        (f"https://{'x' * 64}.example", "not a name that can be looked up"),
        (f"https://{'ü' * 60}.example", "not a name that can be looked up"),
        (f"https://{'x.' * 127}example", "not a name that can be looked up"),
        ("https://127.1", "not an address in its usual form"),
        ("https://0x7f.0.0.1", "not a name that can be looked up|not an address in its usual form"),
        ("https://0x7f000001", "not an address in its usual form"),
        ("https://2130706433", "not an address in its usual form"),
        ("https://127.0.0.01", "not an address in its usual form"),
        ("https://1.2.3.4.5", "not an address in its usual form"),
        ("https://[fe80::1%25eth0]", "not a name that can be looked up"),
        ("https://[::1", "name a host"),
        ("https://host/../v1", "may not hold . or .."),
        ("https://host/%2e%2E/v1", "may not hold . or .."),
    ],
)
def test_what_libraries_would_not_agree_on_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        ClientConfig(api_key="key-4c9f1b7de2a84f03b6d5", base_url=text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("bitscale.localhost", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("127.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("bitscale.ai", False),
    ],
)
def test_what_is_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("host", ["bitscale.localhost", "0.0.0.0", "localhost.example.com"])
def test_the_key_does_not_leave_this_machine_in_plain_http(host: str) -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        ClientConfig(api_key="key-4c9f1b7de2a84f03b6d5", base_url=f"http://{host}")

"""The network that both clients see: proxies and certificates, of the connection and of the environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bitscale.api import ClientConfig, ConfigurationError, TransportError
from airflow_provider_bitscale.api.contracts import contract_for
from airflow_provider_bitscale.emulator import Emulator
from tests.support.certificates import self_signed, server_tls
from tests.support.clients import Opener, config_for
from tests.support.servers import RawServer, answering, http_answer, relay, tunnel

KEY = "key-4c9f1b7de2a84f03b6d5"
USER = http_answer(json.dumps({"id": "usr_1"}).encode())
CREDENTIALS = "Basic " + b64encode("jürgen:p@ss/wörd".encode()).decode()
QUOTED = "j%C3%BCrgen:p%40ss%2Fw%C3%B6rd@"

pytestmark = [
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
    pytest.mark.usefixtures("bare_environment"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine of no known authority."""
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def secure(certificate: Path) -> Iterator[RawServer]:
    """A server with that certificate that answers every connection with a user."""
    with answering(USER, tls=server_tls(certificate)) as server:
        yield server


def config(url: str, **changes: Any) -> ClientConfig:
    return ClientConfig(**{"api_key": KEY, "workspace_id": "ws", "base_url": url, "timeout": 3.0, **changes})


def ask_once(open_client: Opener, settings: ClientConfig) -> Any:
    return open_client(settings)("send", contract_for(settings).get_current_user(), patient=False)


def https(server: RawServer) -> str:
    return server.url.replace("http://", "https://")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("http_proxy", "http://{host}"),
        ("http_proxy", "{host}"),
        ("http_proxy", "//{host}/"),
        ("HTTP_PROXY", "HTTP://{host}"),
        ("all_proxy", "http://{host}"),
        ("ALL_PROXY", "{host}"),
        ("http_proxy", f"http://{QUOTED}{{host}}"),
        ("all_proxy", f"{QUOTED}{{host}}"),
    ],
)
def test_the_proxy_of_the_environment_is_used_however_it_is_written(
    open_client: Opener, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    with relay(int(emulator.url.rsplit(":", 1)[1])) as proxy:
        monkeypatch.setenv(variable, value.format(host=f"127.0.0.1:{proxy.port}"))
        assert open_client(config_for(emulator))("get_current_user").id == "usr_abc123"
    seen = b"".join(proxy.received).decode()
    assert seen.startswith(f"GET {emulator.base_url}/user/me HTTP/1.1\r\n")
    assert (f"proxy-authorization: {CREDENTIALS}".lower() in seen.lower()) is (QUOTED in value)


@pytest.mark.parametrize("proxy", ["http://proxy.invalid:3128", "socks5://proxy.invalid", "http://::::"])
def test_this_machine_is_reached_directly_unless_the_proxy_runs_on_it(
    open_client: Opener, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    assert open_client(config_for(emulator))("get_current_user").id == "usr_abc123"


def test_the_proxies_of_the_connection_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def proxy_of(**settings: Any) -> str | None:
        proxy = ClientConfig(api_key=KEY, **settings).network.proxy
        return None if proxy is None else proxy.url

    monkeypatch.setenv("HTTPS_PROXY", "http://env:1")
    monkeypatch.setenv("NO_PROXY", "inside.example,10.0.0.0/8")
    assert proxy_of() == "http://env:1"
    assert proxy_of(base_url="https://inside.example") is None
    assert proxy_of(base_url="https://10.20.30.40") is None
    assert proxy_of(proxies={"https": "own:2"}) == "http://own:2"
    assert proxy_of(proxies={"all": "own"}) == "http://own"
    assert proxy_of(proxies={"http": "http://own:2"}) is None
    assert proxy_of(proxies={}) is None


PROXIES_THAT_ARE_NONE = {
    "socks": "socks5h://user:hunter22@proxy:1080",
    "no port": "http://user:hunter22@proxy:port",
    "port out of range": "user:hunter22@proxy:99999",
    "slash in the password": "http://user:hunter22/12@proxy:3128",
    "number sign in the password": "http://user:22#hunter22@proxy:3128",
    "colon in the user": "http://us%3Aer:hunter22@proxy:3128",
    "no host": "http://user:hunter22@",
    "no such host": "http://user:hunter22@pro..xy:3128",
    "half an address": "http://user:hunter22@[::1:3128",
    "None": "None",
    "DIRECT": "DIRECT",
    "a space": "http://user:hunter22@pro xy:3128",
}


@pytest.mark.parametrize("proxy", PROXIES_THAT_ARE_NONE.values(), ids=PROXIES_THAT_ARE_NONE.keys())
@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY", None])
def test_a_proxy_that_cannot_be_used_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, proxy: str, variable: str | None
) -> None:
    if variable:
        monkeypatch.setenv(variable, proxy)
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(api_key=KEY, proxies=None if variable else {"https": proxy})
    assert caught.value.message.startswith(variable or "the proxy for https")
    assert "hunter22" not in repr(caught.value)
    assert "; " not in caught.value.message


def test_a_proxy_for_nothing_is_told() -> None:
    with pytest.raises(ConfigurationError, match="the proxy for https:// is never used"):
        ClientConfig(api_key=KEY, proxies={"https://": "http://proxy:3128"})


def trusting(monkeypatch: pytest.MonkeyPatch, name: str, certificate: Path, folder: Path) -> None:
    """Have the environment name a certificate as a file, or as a folder of hashed ones."""
    if name.endswith("/"):
        shown = subprocess.run(
            ["openssl", "x509", "-hash", "-noout", "-in", certificate],
            capture_output=True,
            text=True,
            check=True,
        )
        shutil.copy(certificate, folder / f"{shown.stdout.strip()}.0")
        monkeypatch.setenv(name[:-1], str(folder))
    else:
        monkeypatch.setenv(name, str(certificate))


SOURCES = ["REQUESTS_CA_BUNDLE", "REQUESTS_CA_BUNDLE/", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR/"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_authorities_of_the_environment_are_trusted(
    open_client: Opener,
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
    secure: RawServer,
    tmp_path: Path,
    source: str,
) -> None:
    trusting(monkeypatch, source, certificate, tmp_path)
    assert open_client(config(https(secure)))("get_current_user").id == "usr_1"


@pytest.mark.parametrize("source", ["verify", "REQUESTS_CA_BUNDLE", "the certifi package"])
def test_a_certificate_that_is_refused_names_the_settings(
    open_client: Opener, monkeypatch: pytest.MonkeyPatch, secure: RawServer, tmp_path: Path, source: str
) -> None:
    other = str(self_signed(tmp_path))
    if source.isupper():
        monkeypatch.setenv(source, other)
    with pytest.raises(TransportError) as caught:
        ask_once(open_client, config(https(secure), verify=other if source == "verify" else True))
    assert f"Certificates are checked by {source}." in caught.value.message
    assert all(name in caught.value.message for name in ("verify", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"))
    assert not caught.value.sent
    assert secure.received == []


def test_a_certificate_for_another_host_is_refused(
    open_client: Opener, certificate: Path, secure: RawServer
) -> None:
    with pytest.raises(TransportError, match="localhost") as caught:
        ask_once(open_client, config(f"https://localhost:{secure.port}", verify=str(certificate)))
    assert not caught.value.sent
    assert secure.received == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("value", ["/no/such/path", __file__])
def test_authorities_that_are_not_there_are_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name} must be the path") as caught:
        ClientConfig(api_key=KEY)
    assert value in caught.value.message
    # What is not asked is not refused.
    assert ClientConfig(api_key=KEY, verify=False).network.trust is not None
    assert ClientConfig(api_key=KEY, base_url="http://127.0.0.1").network.trust is None


OLD_PYTHON = sys.version_info < (3, 11)


@pytest.mark.skipif(not OLD_PYTHON, reason="asyncio has TLS within TLS")
def test_what_asyncio_cannot_do_yet_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match=r"needs Python 3\.11"):
        ClientConfig(api_key=KEY, proxies={"https": "https://proxy"})


@pytest.mark.parametrize(
    "proxy_speaks_tls",
    [False, pytest.param(True, marks=pytest.mark.skipif(OLD_PYTHON, reason="no TLS within TLS"))],
    ids=["http proxy", "https proxy"],
)
def test_https_goes_through_a_proxy_that_wants_a_password(
    open_client: Opener, certificate: Path, secure: RawServer, proxy_speaks_tls: bool
) -> None:
    with tunnel(server_tls(certificate) if proxy_speaks_tls else None) as proxy:
        scheme = "https" if proxy_speaks_tls else "http"
        proxies = {"all": f"{scheme}://{QUOTED}127.0.0.1:{proxy.port}"}
        client = open_client(config(https(secure), verify=str(certificate), proxies=proxies))
        assert client("get_current_user").id == "usr_1"
    told = proxy.received[0].decode()
    assert told.startswith(f"CONNECT 127.0.0.1:{secure.port} ")
    assert f"proxy-authorization: {CREDENTIALS}".lower() in told.lower()
    assert KEY not in told
    assert "proxy-authorization" not in secure.received[0].decode().lower()


@pytest.mark.parametrize(
    "proxy_answers",
    [
        (),
        (http_answer(b"", "407 Proxy Authentication Required"),),
        (b"SSH-2.0\r\n",),
        (b"HTTP/1.1 200 OK\r\n\r\n",),
    ],
    ids=["nothing", "407", "no HTTP", "no tunnel"],
)
def test_what_fails_on_the_way_was_never_sent(open_client: Opener, proxy_answers: tuple[bytes, ...]) -> None:
    with answering(*proxy_answers) as proxy:
        through = proxy.url.replace("http://", "http://user:hunter22@")
        with pytest.raises(TransportError) as caught:
            ask_once(open_client, config("https://bitscale.example", proxies={"https": through}))
    assert not caught.value.sent
    assert "hunter22" not in str(caught.value) + repr(caught.value)
    assert f"through {proxy.url}, which the proxy for https names" in caught.value.message


def test_a_server_that_speaks_no_tls_was_never_sent_anything(open_client: Opener) -> None:
    with answering(http_answer(b"", "400 Bad Request")) as server, pytest.raises(TransportError) as caught:
        ask_once(open_client, config(https(server)))
    assert not caught.value.sent


def test_what_a_proxy_echoes_is_told_without_its_password(open_client: Opener) -> None:
    echo = f"denied: jürgen:p@ss/wörd ({CREDENTIALS}) via http://{QUOTED}proxy:3128".encode()
    with answering(http_answer(echo, "502 Bad Gateway")) as proxy:
        settings = config("http://127.0.0.1:1", proxies={"http": f"http://{QUOTED}127.0.0.1:{proxy.port}"})
        with pytest.raises(Exception, match="denied") as caught:
            ask_once(open_client, settings)
    for secret in ("p@ss/wörd", "p%40ss%2F", CREDENTIALS.partition(" ")[2]):
        assert secret not in str(caught.value)
        assert secret not in repr(settings)


def test_a_file_of_authorities_that_has_changed_is_read_again(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, tmp_path: Path
) -> None:
    file = tmp_path / "authorities.pem"
    shutil.copy(certificate, file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert ClientConfig(api_key=KEY).network.trust is not None
    file.write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE must be the path"):
        ClientConfig(api_key=KEY)

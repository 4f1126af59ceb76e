"""How a base URL is reached: proxy and certificates, resolved once and handed to both clients.

Each HTTP library reads the environment in its own way, or not at all. Neither is let: what is followed stands
here, and what one of the two could not follow is refused before anything is sent.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from airflow_provider_bitscale.api import addresses
from airflow_provider_bitscale.api.trust import Trust, checked, find_trust, trust_in

log = logging.getLogger(__name__)

# asyncio has it from then on.
_TLS_WITHIN_TLS = sys.version_info >= (3, 11)
_PROXY_KEYS = (*addresses.DEFAULT_PORTS, "all")
# What is written where no proxy is meant; no company calls its proxy so.
_NO_PROXY_NAMES = {"none", "null", "nil", "direct", "false", "no", "off", "undefined"}


@dataclass(frozen=True)
class Proxy:
    """A proxy that both clients can use.

    :param url: scheme, host and port, and no credentials: no library can put them into a message.
    :param credentials: user and password.
    :param source: the setting or the variable that names it.
    """

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    source: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What the proxy is sent besides (RFC 7617, in UTF-8)."""
        return {"Proxy-Authorization": f"Basic {self._token}"} if self._token else {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may contain."""
        return tuple(filter(None, (self.credentials and self.credentials[1], self._token)))

    @property
    def advice(self) -> str:
        """What to check if no connection can be made."""
        return f"BitScale is reached through {self.url}, which {self.source} names"

    @property
    def _token(self) -> str | None:
        return self.credentials and b64encode(":".join(self.credentials).encode()).decode()


@dataclass(frozen=True)
class Network:
    """Proxy, or None for none, and TLS, or None where neither base URL nor proxy speaks it."""

    proxy: Proxy | None = None
    trust: Trust | None = None


def find_network(base_url: str, proxies: Mapping[str, str] | None, verify: bool | str) -> Network:
    """Resolve the settings of a :class:`ClientConfig`, and the environment.

    :raises ValueError: naming the setting or the variable that cannot be followed.
    """
    proxy = _find_proxy(base_url, proxies)
    proxy_speaks_tls = proxy is not None and proxy.url.startswith("https:")
    speaks_tls = base_url.startswith("https:") or proxy_speaks_tls
    if proxy_speaks_tls and base_url.startswith("https:") and not _TLS_WITHIN_TLS:
        raise ValueError("https through a proxy that speaks https itself needs Python 3.11 or newer")
    return Network(proxy, find_trust(verify) if speaks_tls else None)


def settings_problems(verify: bool | str, proxies: Mapping[str, str] | None) -> list[str]:
    """Return what is wrong with a path in ``verify`` and with each of the proxies, needed or not."""
    problems = []
    try:
        if not isinstance(verify, bool):
            checked(trust_in("verify", verify))
    except ValueError as problem:
        problems.append(str(problem))
    for key, text in (proxies or {}).items():
        try:
            if key not in _PROXY_KEYS:
                raise ValueError(f"is never used: there are proxies for {', '.join(_PROXY_KEYS)}")
            if text.strip():
                read_proxy(text)
        except ValueError as problem:
            problems.append(f"the proxy for {key} {problem}")
    return problems


def _find_proxy(base_url: str, proxies: Mapping[str, str] | None) -> Proxy | None:
    url = urlsplit(base_url)
    name, text = _proxy_of_environment(base_url) if proxies is None else _configured(proxies, url.scheme)
    if not text or not text.strip():
        return None
    stays_here = addresses.is_loopback(url.hostname or "")
    try:
        proxy = replace(read_proxy(text), source=name)
    except ValueError as problem:
        if stays_here:
            return None
        raise ValueError(f"{name} {problem}") from None
    # What is meant for this machine, in plain http perhaps, does not go over the network to come back.
    return None if stays_here and not addresses.is_loopback(urlsplit(proxy.url).hostname or "") else proxy


def _configured(proxies: Mapping[str, str], scheme: str) -> tuple[str, str | None]:
    key = scheme if proxies.get(scheme, "").strip() else "all"
    return f"the proxy for {key}", proxies.get(key)


def _proxy_of_environment(base_url: str) -> tuple[str, str | None]:
    scheme = urlsplit(base_url).scheme
    # Has read the variables in either case, and what the system is set to where there are none.
    found = getproxies()
    key = scheme if found.get(scheme, "").strip() else "all"
    if not found.get(key, "").strip() or is_excepted(base_url, found.get("no", "")):
        return "", None
    # Loaded only where there is a proxy: whoever defers does not pay for two HTTP libraries.
    from requests.utils import should_bypass_proxies

    if should_bypass_proxies(base_url, no_proxy=None):
        return "", None
    variables = (f"{key}_proxy", f"{key}_proxy".upper())
    name = next(
        (name for name in variables if os.environ.get(name, "").strip()), "the proxy of the system's settings"
    )
    return name, found[key]


def is_excepted(base_url: str, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names a host in a way that curl or Go read, and requests does not.

    These are a port that the scheme implies, ``*.domain``, brackets, and networks of IPv6.
    """
    url = urlsplit(base_url)
    host, port = url.hostname or "", url.port or addresses.DEFAULT_PORTS[url.scheme]
    return any(_names(entry, host, port) for entry in re.split(r"[\s,]+", no_proxy.lower()))


def _names(entry: str, host: str, port: int) -> bool:
    bare = re.sub(rf"(?<!:):{port}$", "", entry)
    for text in (entry, bare.removeprefix("[").removesuffix("]")):
        try:
            network = ipaddress.ip_network(text, strict=False)
            return ipaddress.ip_address(host) in network
        except ValueError:
            continue
    domain = bare.removeprefix("*")
    return host == domain or (domain.startswith(".") and host.endswith(domain))


def read_proxy(text: str) -> Proxy:
    """Return the proxy that a URL names, with or without its scheme, as in ``http_proxy``.

    :raises ValueError: says why no proxy can be meant, without a word of the URL.
    """
    text = text.strip()
    if text.lower() in _NO_PROXY_NAMES:
        raise ValueError(f"is {text!r}, which is not a proxy: leave it empty for none")
    # As requests, urllib and curl read it.
    full = text if "://" in text else f"http://{text.removeprefix('//')}"
    scheme = full.partition("://")[0].lower()
    if scheme not in addresses.DEFAULT_PORTS:
        raise ValueError("must be a proxy that speaks http or https, not socks or another")
    url = addresses.split_url(full)
    # An @ behind the host is that of a password with a / or # in it, which must be percent-encoded.
    if url is None or "@" in url.path + url.query + url.fragment or not full.isprintable() or "\\" in full:
        raise ValueError("is not a URL of a proxy (http://user:password@host:port, percent-encoded)")
    try:
        host = addresses.canonical_host(url.hostname or "")
    except ValueError:
        raise ValueError("does not name a host that can be looked up") from None
    bare = f"{scheme}://{addresses.authority(host, url.port, scheme)}"
    if "@" not in url.netloc:
        return Proxy(bare)
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if ":" in user:
        raise ValueError("has a user name with a colon, which HTTP cannot carry")
    return Proxy(bare, (user, password))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error of an HTTP library and those that it wraps, the innermost last."""
    seen: set[int] = set()
    inner: object = error
    while isinstance(inner, BaseException) and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        wrapped = (argument for argument in inner.args if isinstance(argument, BaseException))
        inner = getattr(inner, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next(wrapped, None)


@lru_cache(maxsize=128)
def warn_once(warning: str) -> None:
    """Log what makes a connection unsafe, once a process."""
    log.warning("%s", warning)

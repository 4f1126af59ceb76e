"""Pure: hosts and base URLs in one canonical spelling. What HTTP libraries read differently is refused."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_NAME = 253
# Names of containers have underscores, whatever DNS says.
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
# What resolvers take for an address, each in its own way: "127.1", "0x7f000001".
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def canonical_base_url(text: str) -> str:
    """Return a base URL in the one spelling that requests, fingerprints and the rate limit use.

    :raises ValueError: saying why it is not a base URL, or not one that all libraries read alike.
    """
    if "@" in text:
        raise ValueError("the base URL may not hold credentials")
    if " " in text or "\\" in text or not text.isprintable():
        raise ValueError(f"the base URL may not hold blanks, control characters or backslashes: {text!r}")
    url = split_url(text)
    if url is None:
        raise ValueError(f"the base URL must begin with https:// and name a host, not {text!r}")
    if url.query or url.fragment:
        raise ValueError("the base URL may not hold a query or a fragment")
    try:
        host = canonical_host(url.hostname or "")
    except ValueError as problem:
        raise ValueError(f"the host of the base URL {problem}") from None
    if host in DEFAULT_PORTS:
        raise ValueError(f"the base URL has {host!r} where its host should be: {text!r}")
    segments = [unquote_to_bytes(segment) for segment in url.path.split("/") if segment]
    if b"." in segments or b".." in segments:
        raise ValueError("the path of the base URL may not hold . or ..")
    path = "".join("/" + quote(segment, safe="!$&'()*+,;=:~") for segment in segments)
    return f"{url.scheme}://{authority(host, url.port, url.scheme)}{path}"


def split_url(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL; None if it is invalid or has no host."""
    try:
        url = urlsplit(text)
        fine = url.scheme in DEFAULT_PORTS and url.hostname and url.port != 0
    except ValueError:
        return None
    return url if fine else None


def canonical_host(host: str) -> str:
    """Return a host, without brackets, in lower case and ASCII; an address in its shortest form.

    :raises ValueError: saying why not all libraries could reach it.
    """
    host = host.lower().removesuffix(".")
    if (address := _address(host)) is not None:
        return str(address)
    if not host.isascii():
        # Of the standard library's IDNA and the newer one that both HTTP libraries use, this is the newer.
        from yarl import URL

        try:
            return canonical_host(str(URL.build(scheme="https", host=host).raw_host).encode("ascii").decode())
        except ValueError:
            raise ValueError(f"is not a name that can be looked up: {host!r}") from None
    labels = host.split(".")
    if len(host) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"is not a name that can be looked up: {host!r}")
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError(f"is not an address in its usual form: {host!r}")
    return host


def authority(host: str, port: int | None, scheme: str) -> str:
    """Host and port as they stand in a URL; the port that the scheme implies is left out."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port in (None, DEFAULT_PORTS[scheme]) else f"{bracketed}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine, whoever resolves it.

    Names under ``.localhost`` are not: some resolvers ask a name server for them.
    """
    address = _address(host)
    if address is None:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        # The zone of a link-local address means something on one machine only.
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None

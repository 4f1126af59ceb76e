"""How the sync client connects: requests and urllib3, told to keep to what the async client does."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections import deque
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_bitscale.api import answer_head
from airflow_provider_bitscale.api.answer_body import ACCEPT_ENCODING
from airflow_provider_bitscale.api.network import Network

# What is raised before a connection is asked for.
_UNSENDABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    UnicodeError,
)


def open_session(network: Network) -> requests.Session:
    """Return a session that reaches a base URL as resolved, and by nothing else."""
    session = _Session()
    # Neither .netrc nor the environment may add to a request; the network has read what it wants.
    session.trust_env = False
    session.headers["Accept-Encoding"] = ACCEPT_ENCODING
    adapter = _Adapter(network)
    for scheme in ("http", "https"):
        session.mount(f"{scheme}://", adapter)
        if network.proxy is not None:
            session.proxies[scheme] = network.proxy.url
    return session


def may_have_been_sent(causes: list[BaseException]) -> bool:
    """Whether a request that failed so had a connection, through proxy and TLS.

    :param causes: the error and those that it wraps.
    """
    return not any(map(_is_unsent, causes))


def _is_unsent(cause: BaseException | None) -> bool:
    if cause is None:
        return False
    # urllib3 wraps a timeout of TLS without handing it on.
    marked = getattr(cause, "while_connecting", False)
    return marked or isinstance(cause, _UNSENDABLE) or _is_unsent(cause.__cause__)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: requests takes a Location apart, and fails on some, even where it does not follow it."""


class _Adapter(HTTPAdapter):
    def __init__(self, network: Network) -> None:
        self._network = network
        self._tls = None if network.trust is None else network.trust.context()
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._tls, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return {} if self._network.proxy is None else self._network.proxy.headers

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        # With its own settings, requests would trust certifi besides.
        address, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return address, {"ssl_context": self._tls}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to add: the context says it all."""


class _Answer(http.client.HTTPResponse):
    """An answer with a deadline and a tidied head, that skips what only informs (the library skips 100)."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._informational = 0
        self._reader = self.fp = _Reader(_UntilDeadline(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        self._reader.tidy_head()
        # 101 ends HTTP, and is an answer.
        if 100 <= status < 200 and status != http.client.SWITCHING_PROTOCOLS:
            self._informational += 1
            if self._informational > answer_head.MAX_INFORMATIONAL:
                raise http.client.HTTPException("too many informational answers")
            status = http.client.CONTINUE
        return answer_head.tidy_version(version), status, reason


class _Reader(io.BufferedReader):
    """Hands out the lines of a head as tidied."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self._tidied: deque[bytes] = deque()

    def tidy_head(self) -> None:
        """Read the header lines to the empty one; they are what is read next."""
        lines: list[bytes] = []
        while line := super().readline(answer_head.MAX_LINE + 1).rstrip(b"\r\n"):
            if len(line) >= answer_head.MAX_LINE or len(lines) >= answer_head.MAX_HEADERS:
                raise http.client.HTTPException("a header of the answer is too long, or there are too many")
            lines.append(line)
        # The library puts the lines together again, but takes 100 of them only: several go as one.
        block = b""
        for line in answer_head.tidy_fields(lines):
            if block and len(block) + len(line) + 2 > answer_head.MAX_LINE:
                self._tidied.append(block)
                block = b""
            block += line + b"\r\n"
        self._tidied += [*([block] if block else []), b"\r\n"]

    def readline(self, size: int | None = -1) -> bytes:
        return self._tidied.popleft() if self._tidied else super().readline(size)


class _UntilDeadline(io.RawIOBase):
    """Reads for as long as the socket may take for one piece: a server may trickle head and body for ever."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        timeout = sock.gettimeout()
        self._until = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            remaining = self._until - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the answer did not end in time")
            self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _MarksFailures:
    """Marks what fails before anything could be sent: urllib3 wraps it like what fails later."""

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            error.while_connecting = True  # type: ignore[attr-defined]
            raise


# Named for the messages of urllib3, which begin with the names of these classes.
class Connection(_MarksFailures, HTTPConnection):
    """A connection without TLS."""

    response_class = _Answer


class SecureConnection(_MarksFailures, HTTPSConnection):
    """A connection with TLS."""

    response_class = _Answer


class Pool(HTTPConnectionPool):
    """The connections to one host without TLS."""

    ConnectionCls = Connection


class SecurePool(HTTPSConnectionPool):
    """The connections to one host with TLS."""

    ConnectionCls = SecureConnection


_POOLS = {"http": Pool, "https": SecurePool}

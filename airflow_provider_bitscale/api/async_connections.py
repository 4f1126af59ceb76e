"""How the async client connects: aiohttp, told to keep to what the sync client does."""

from __future__ import annotations

import math
import ssl
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, TransferEncodingError
from aiohttp.http_parser import HeadersParser, HttpResponseParserPy, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD

from airflow_provider_bitscale.api import answer_head
from airflow_provider_bitscale.api.answer_body import ACCEPT_ENCODING, AnswerBody
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.network import Network


def open_session(
    config: ClientConfig, tls: ssl.SSLContext | bool, connections: int, *, keep: bool = True
) -> aiohttp.ClientSession:
    """Return a session that reaches a base URL as resolved, and by nothing else.

    :param keep: whether connections are kept to be used again.
    """
    network = config.network
    # Of a request in plain http the proxy sees the headers; before TLS it is told its own.
    seen_by_proxy = proxy_headers(network) if config.base_url.startswith("http:") else None
    return aiohttp.ClientSession(
        connector=_Connector(
            limit=connections,
            ssl=tls,
            force_close=not keep,
            # The system's, as for the sync client, even where aiohttp finds a library with another.
            resolver=aiohttp.ThreadedResolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": ACCEPT_ENCODING, **(seen_by_proxy or {})},
        proxy=None if network.proxy is None else network.proxy.url,
        auto_decompress=False,
        max_line_size=answer_head.MAX_LINE,
        max_field_size=answer_head.MAX_LINE,
        # aiohttp counts the status line and the empty one.
        max_headers=answer_head.MAX_HEADERS + 2,
    )


def proxy_headers(network: Network) -> dict[str, str] | None:
    """Return what the proxy is sent before TLS, if there is one."""
    return None if network.proxy is None else network.proxy.headers


async def read_body(response: aiohttp.ClientResponse, body: AnswerBody) -> bytes:
    """Return the body of an answer.

    :raises BodyError: it cannot be read.
    """
    while not response.content.at_eof():
        body.add(await response.content.readany())
    return body.end()


def why_unanswered(error: Exception) -> str:
    """Why no answer came, or none that could be read to its end."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # A proxy's refusal comes with its URL and headers; the status says enough.
        return str(error.status)
    # Any other's status is not BitScale's: aiohttp says 400 where it could not read the head.
    return error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)


class Sending:
    """Whether a request has got a connection, through proxy and TLS: before, nothing was sent."""

    _now: ContextVar[Sending] = ContextVar("_now")

    def __init__(self) -> None:
        self.connected = False
        # aiohttp asks for the connection in the task that sends the request.
        self._now.set(self)

    @classmethod
    def has_connected(cls) -> None:
        """Note that the request of this task has a connection."""
        cls._now.get().connected = True


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        connection = await super().connect(*args, **kwargs)
        Sending.has_connected()
        return connection


class _Protocol(ResponseHandler):
    """Reads an answer with a plain head by aiohttp's parser in C, and any other by the lenient one below."""

    # Bytes of the answer that are still to come; None before its first.
    _left: float | None = None

    def set_response_params(self, **settings: Any) -> None:
        self._left = None
        self._settings = settings
        super().set_response_params(**settings)

    def data_received(self, data: bytes) -> None:
        super().data_received(data if self._parser is None else self._of_answer(data))

    def _of_answer(self, data: bytes) -> bytes:
        if self._left is None:
            self._left = answer_head.plain_length(data)
            if self._left is None:
                self._left = math.inf
                self._parser = self._lenient_parser()
        self._left -= len(data)
        if self._left >= 0:
            return data
        # What comes behind the body would be taken for another request's answer.
        if self.transport is not None:
            self.transport.close()
        return data[: int(self._left)]

    def _lenient_parser(self) -> _Parser:
        settings = self._settings
        return _Parser(
            self,
            self._loop,
            settings.get("read_bufsize", 2**16),
            timer=settings.get("timer"),
            payload_exception=aiohttp.ClientPayloadError,
            response_with_body=not settings.get("skip_payload", False),
            read_until_eof=settings.get("read_until_eof", False),
            auto_decompress=settings.get("auto_decompress", True),
            max_line_size=settings.get("max_line_size", answer_head.MAX_LINE),
            max_field_size=settings.get("max_field_size", answer_head.MAX_LINE),
            max_headers=settings.get("max_headers", answer_head.MAX_HEADERS + 2),
        )


class _Parser(HttpResponseParserPy):
    lax = True

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._headers_parser = _Fields(self.max_line_size, self.max_headers, self.max_field_size, lax=True)
        self._informational = 0
        # The answer, until it is handed on.
        self._answer: RawResponseMessage | None = None

    def feed_data(self, data: bytes, *_: Any, **__: Any) -> Any:
        try:
            fed = super().feed_data(data, b"\n")
        except TransferEncodingError:
            if self._payload_parser is None:
                raise
            # After a chunk that cannot be read, those before it are the body.
            payload: Any = self._payload_parser.payload
            payload._exception = None
            payload.feed_eof()
            self.protocol.force_close()
            fed = [] if self._answer is None else [(self._answer, payload)], False, b""
        self._answer = None
        if self._msg_in_flight and self._tail and self.protocol.transport is not None:
            # Bytes behind the body: what comes next would be taken for another request's answer.
            self.protocol.transport.close()
        if self._lines and not self._lines[0].lstrip().startswith(b"HTTP/"):
            raise BadStatusLine(_text(self._lines))
        return fed

    def parse_message(self, lines: list[bytes]) -> RawResponseMessage:
        version, *rest = lines[0].split(maxsplit=1) or [b""]
        known = answer_head.tidy_version(version.decode("latin-1")).encode("latin-1")
        message = super().parse_message([b" ".join([known, *rest]), *lines[1:]])
        if 100 <= message.code < 200 and message.code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._informational += 1
            if self._informational > answer_head.MAX_INFORMATIONAL:
                raise BadHttpMessage("too many informational answers")
            # Whatever its headers say, the answer follows.
            return super().parse_message([b"HTTP/1.1 %d" % message.code, b""])
        self._answer = message
        # Bytes behind the body are not a further answer.
        self._max_msg_queue_size = 1
        return message

    def feed_eof(self) -> Any:
        ended = super().feed_eof()
        if self._answer is not None:
            # Within its head, but its status came.
            self.protocol.feed_data((self._answer, EMPTY_PAYLOAD), 0)
        # What came of a head, for the error.
        return ended or _text(self._lines) or None


class _Fields(HeadersParser):
    def parse_headers(self, lines: list[bytes]) -> Any:
        return super().parse_headers([*answer_head.tidy_fields(filter(None, lines)), b""])


def _text(lines: list[bytes]) -> str:
    return b" ".join(lines).decode("utf-8", "replace").strip()

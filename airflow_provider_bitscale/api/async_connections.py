"""How the async client connects: aiohttp, told to keep to what the sync client does."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import aiohttp

from airflow_provider_bitscale.api.answer_body import ACCEPT_ENCODING, AnswerBody
from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.network import Network

# As long as a line of an answer's head may be for the sync client.
_MAX_LINE = 65536


def open_session(
    config: ClientConfig, tls: ssl.SSLContext | bool, connections: int, *, keep: bool = True
) -> aiohttp.ClientSession:
    """A session that reaches a base URL as resolved, and by nothing else.

    The context of each request has to be an object whose ``connected`` is set once it has a connection,
    through proxy and TLS: before, nothing was sent.

    :param connections: how many there may be at once.
    :param keep: whether connections are kept to be used again.
    """
    network = config.network
    # Of a request in plain http the proxy sees the headers; before TLS it is told its own.
    seen_by_proxy = proxy_headers(network) if config.base_url.startswith("http:") else None
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
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
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        trace_configs=[_connected_trace()],
    )


def proxy_headers(network: Network) -> dict[str, str] | None:
    """What the proxy is sent before TLS, if there is one."""
    return None if network.proxy is None else network.proxy.headers


async def read_body(response: aiohttp.ClientResponse, body: AnswerBody) -> bytes:
    """The body of an answer.

    :param body: gathers it.
    :raises BodyError: it cannot be read.
    """
    async for piece in response.content.iter_any():
        body.add(piece)
    return body.end()


def _connected_trace() -> aiohttp.TraceConfig:
    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace

"""A call in the terms of aiohttp, made once however often it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_bitscale.api.call import Call, Reader
from airflow_provider_bitscale.api.credentials import Access

T = TypeVar("T")


@dataclass(frozen=True)
class Request(Generic[T]):
    """A call with the key of an access."""

    access: Access
    call: Call[T]
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    timeout: aiohttp.ClientTimeout
    reader: Reader[T]

    @classmethod
    def of(cls, call: Call[T], access: Access) -> Request[T]:
        """Prepare a call."""
        call, config = access.keyed(call), access.config
        url, headers = URL(call.url, encoded=True), CIMultiDict(call.headers)
        return cls(access, call, url, headers, _timeout(call, config.timeout), Reader(call, config))


def _timeout(call: Call[T], connect: float) -> aiohttp.ClientTimeout:
    # In all, and not for each piece: a server, or a proxy before it, may let bytes trickle for ever.
    answer = call.timeout or connect
    if call.doubt is None:
        return aiohttp.ClientTimeout(total=answer, sock_connect=connect)
    # Whoever runs out of time in the line for a connection has sent nothing; that must be told apart.
    return aiohttp.ClientTimeout(total=connect + answer, connect=connect)

"""A call in the terms of aiohttp, made once however often it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_bitscale.api.call import Call, PollReader
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
    reader: PollReader[T]

    @classmethod
    def of(cls, call: Call[T], access: Access) -> Request[T]:
        """Prepare a call."""
        call, config = access.keyed(call), access.config
        url, headers = URL(call.url, encoded=True), CIMultiDict(call.headers)
        return cls(access, call, url, headers, _timeout(call, config.timeout), PollReader(call, config))


def _timeout(call: Call[T], connect: float) -> aiohttp.ClientTimeout:
    # For the whole answer, not for each piece: a server or proxy may let bytes trickle for ever.
    answer = call.timeout or connect
    if call.ambiguity is None:
        return aiohttp.ClientTimeout(total=answer, sock_connect=connect)
    # A timeout of its own for the connection: until then nothing was sent.
    return aiohttp.ClientTimeout(total=connect + answer, connect=connect)

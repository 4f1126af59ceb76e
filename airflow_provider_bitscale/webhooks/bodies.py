"""Bodies of requests that anybody may have sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request


class TooManyBodiesError(Exception):
    """So much is held already that this body cannot be."""


class HeldBodies:
    """Reads bodies, and holds no more of them together than it may.

    :param most: bytes of all together.
    """

    def __init__(self, most: int) -> None:
        self._free = most

    @asynccontextmanager
    async def of(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """The body of a request, or so much of it as shows that it is too large; held while the block lasts.

        :param most: bytes of this one.
        :raises TooManyBodiesError: there is no room for it now.
        """
        body = bytearray()
        try:
            async for chunk in request.stream():
                if len(chunk) > self._free:
                    raise TooManyBodiesError
                self._free -= len(chunk)
                body += chunk
                if len(body) > most:
                    break
            yield bytes(body)
        finally:
            self._free += len(body)

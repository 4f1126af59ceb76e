"""Bodies of requests that are not verified yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request


class TooManyBodiesError(Exception):
    """There is no room for this body now."""


class HeldBodies:
    """Reads bodies, of which ``most`` bytes are held at a time, all together."""

    def __init__(self, most: int) -> None:
        self._free = most

    @asynccontextmanager
    async def of(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Provide the body of a request while the block lasts; of one longer than ``most``, its beginning.

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

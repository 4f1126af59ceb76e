"""Gathers the body of an answer and decompresses it, the same for both clients, up to a largest size."""

from __future__ import annotations

import zlib

# What clients say they read; an answer in another encoding cannot be read.
ACCEPT_ENCODING = "gzip, deflate"
# Far above what a grid answers. A few hundred bytes may decompress to a million times as many.
MAX_ANSWER_BYTES = 64 * 2**20

# Bytes that are decompressed at a time.
_STEP = 2**20
# Of an answer that cannot be read as a whole.
_MAX_TOLD_BYTES = 2**20
_COMPRESSED = {"gzip", "x-gzip", "deflate"}
# With which gzip and zlib begin, and no JSON does.
_GZIP, _ZLIB = 0x1F, 0x78
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_BARE_DEFLATE = -zlib.MAX_WBITS


class BodyError(Exception):
    """The body cannot be read: it is too large, or not in the encoding that it came with."""


class AnswerBody:
    """Gathers the pieces of a body that came with a ``Content-Encoding``."""

    def __init__(self, encoding: str | None) -> None:
        stated = [part.strip() for part in encoding.lower().split(",")] if encoding else []
        self._encoding = next((part for part in stated if part in _COMPRESSED), "")
        self._compressed: bool | None = None
        self._decompressor: zlib._Decompress | None = None
        self._body = bytearray()

    def add(self, piece: bytes) -> None:
        """Take the next piece as it came over the wire.

        :raises BodyError: the body is too large, or not in its encoding.
        """
        if self._compressed is None and piece:
            self._compressed = self._is_compressed(piece[0])
        try:
            while piece:
                piece = self._decompress(piece) if self._compressed else self._keep(piece)
        except zlib.error as problem:
            if not self._body:
                # Perhaps it is not compressed at all: then a run can still be found in it.
                self._keep(piece)
            raise BodyError(f"the answer is not {self._encoding or 'gzip'}: {problem}") from None

    @property
    def so_far(self) -> bytes:
        """The part that can be read so far, at most a MiB: enough to name a run, and for a message."""
        return bytes(self._body[:_MAX_TOLD_BYTES])

    def end(self) -> bytes:
        """Return the whole body.

        :raises BodyError: it ended before its encoding did.
        """
        if self._decompressor is not None and not self._decompressor.eof:
            # What the last step had no room for.
            self._keep(self._decompressor.flush())
        if self._decompressor is not None and not self._decompressor.eof:
            raise BodyError(f"the answer ended within its {self._encoding or 'gzip'}")
        return bytes(self._body)

    def _is_compressed(self, first: int) -> bool:
        # Gateways decompress and leave the header, or the other way round. Bare deflate begins with any byte.
        return first == _GZIP or self._encoding == "deflate" or (bool(self._encoding) and first == _ZLIB)

    def _decompress(self, piece: bytes) -> bytes:
        """Keep as much of a piece as one step gives; return the rest, or a further member of a gzip file."""
        if self._decompressor is None:
            # Servers mean one of two things by "deflate"; the first byte tells which.
            bare = piece[0] != _GZIP and piece[0] & 0x0F != zlib.DEFLATED
            self._decompressor = zlib.decompressobj(_BARE_DEFLATE if bare else _GZIP_OR_ZLIB)
        elif self._decompressor.eof:
            if not piece.startswith(b"\x1f"):
                # Padding behind the last member, as gzip ignores it.
                return b""
            self._decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._keep(self._decompressor.decompress(piece, _STEP))
        return self._decompressor.unconsumed_tail or self._decompressor.unused_data

    def _keep(self, piece: bytes) -> bytes:
        if len(self._body) + len(piece) > MAX_ANSWER_BYTES:
            raise BodyError(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MiB")
        self._body += piece
        return b""

"""Pure: tidies the head of an answer, so that both HTTP libraries read it, and read it alike.

Proxies and gateways send heads that one library reads and the other refuses. A refused answer may be that of
a paid run. So everything that has only one possible meaning is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Bytes of one line, with its end; what the standard library allows.
MAX_LINE = 65536
# Far above what gateways add up to.
MAX_HEADERS = 1000
# Against a server that informs for ever.
MAX_INFORMATIONAL = 100

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(rb"\+?([0-9]{1,18})")
_FRAMING = (b"content-length", b"transfer-encoding")
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 (?:200|202|429) [ -~]*\r\n((?:[0-9A-Za-z-]+: [!-~][ -~]*(?<! )\r\n)+)\r\n"
)
_PLAIN_LENGTH = re.compile(rb"[0-9]{1,18}")
_NOT_PLAIN = {b"set-cookie", b"transfer-encoding", b"upgrade"}


def plain_length(data: bytes) -> int | None:
    """Bytes of an answer, if its head is in the first bytes and is as it would be tidied; else None."""
    head = _PLAIN_HEAD.match(data)
    if head is None:
        return None
    lines = head[1].lower().splitlines()
    fields = dict([line.split(b": ", 1) for line in lines])
    length = fields.get(b"content-length", b"")
    if len(fields) < len(lines) or not _PLAIN_LENGTH.fullmatch(length) or not _NOT_PLAIN.isdisjoint(fields):
        return None
    return head.end() + int(length)


def tidy_version(version: str) -> str:
    """Return the version of a status line, as one that both libraries know."""
    return version if version == "HTTP/1.0" or not version.startswith("HTTP/") else "HTTP/1.1"


def tidy_fields(lines: Iterable[bytes]) -> list[bytes]:
    """Header lines that can be read, each name once, with one statement of how long the body is.

    Invalid lines and cookies are left out; blanks before a colon and control characters are removed; folded
    lines are joined, and headers of one name, with each value once. Chunked wins over any length (RFC 9112,
    section 6.3). Of different lengths the longest wins: a body that ends before it is still read. After such
    an answer the connection closes.
    """
    fields: dict[bytes, tuple[bytes, list[bytes]]] = {}
    for name, value in _fields(lines):
        _, values = fields.setdefault(name.lower(), (name, []))
        if value not in values:
            values.append(value)
    stated = {
        name: [
            part.strip() for value in fields.pop(name, (name, []))[1] for part in value.lower().split(b",")
        ]
        for name in _FRAMING
    }
    fields.pop(b"set-cookie", None)
    tidied = [_line(name, values) for name, values in fields.values()]
    lengths = {int(found[1]) for part in stated[b"content-length"] if (found := _LENGTH.fullmatch(part))}
    is_chunked = b"chunked" in stated[b"transfer-encoding"]
    if is_chunked:
        tidied.append(b"Transfer-Encoding: chunked")
    elif lengths:
        tidied.append(b"Content-Length: %d" % max(lengths))
    if len(lengths) + is_chunked > 1:
        tidied = [line for line in tidied if not line.lower().startswith(b"connection:")]
        tidied.append(b"Connection: close")
    return tidied


def _fields(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    fields: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if fields:
                name, value = fields[-1]
                fields[-1] = name, (value + b" " + _clean(line)).strip()
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip()
        if colon and _NAME.fullmatch(name):
            fields.append((name, _clean(value)))
    return fields


def _line(name: bytes, values: list[bytes]) -> bytes:
    line = name + b": " + b", ".join(values)
    return line if len(line) < MAX_LINE - 1 else name + b": " + values[0]


def _clean(value: bytes) -> bytes:
    return _CONTROL.sub(b" ", value).strip()

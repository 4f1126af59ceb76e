"""Servers that answer with exact bytes, or hand bytes on, and remember every byte they got."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress


class RawServer:
    """Listens on a loopback port and hands each connection to a thread; use as a context manager.

    :param serve: gets the connection, which is closed when it returns.
    :param tls: to speak TLS first.
    """

    def __init__(
        self, serve: Callable[[socket.socket, RawServer], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.received: list[bytes] = []
        self.connections = 0
        self.lock = threading.Lock()

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, name="raw-server", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listening_or_open in (self._listener, *self._open):
            with suppress(OSError):
                listening_or_open.shutdown(socket.SHUT_RDWR)
            listening_or_open.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls is None:
                self._serve(connection, self)
            else:
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    self._serve(secure, self)


def answering(*answers: bytes | float, tls: ssl.SSLContext | None = None) -> RawServer:
    """A server that reads one request a connection, then sends bytes or sleeps so many seconds, in turn."""

    def serve(connection: socket.socket, server: RawServer) -> None:
        server.received.append(_read_request(connection))
        for answer in answers:
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                time.sleep(answer)

    return RawServer(serve, tls)


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer, after which the connection closes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def relay(port: int) -> RawServer:
    """A server that hands everything on to another port of this machine: a forward proxy for plain http."""

    def serve(connection: socket.socket, server: RawServer) -> None:
        with socket.create_connection(("127.0.0.1", port)) as onward:
            back = threading.Thread(target=_pump, args=(onward, connection, None), daemon=True)
            back.start()
            _pump(connection, onward, server.received)
            back.join()

    return RawServer(serve)


def keeping(answer: bytes, requests: int) -> RawServer:
    """A server that answers so many requests on each connection, says it keeps it, and closes it."""

    def serve(connection: socket.socket, server: RawServer) -> None:
        with server.lock:
            server.connections += 1
            number = server.connections
        for _ in range(requests):
            request = _read_request(connection)
            if not request:
                return
            server.received.append(b"connection %d: " % number + request)
            connection.sendall(answer)

    return RawServer(serve)


def tunnel(tls: ssl.SSLContext | None = None) -> RawServer:
    """A proxy that tunnels to this machine on CONNECT, and remembers what it was told before."""

    def serve(connection: socket.socket, server: RawServer) -> None:
        head = _read_request(connection)
        server.received.append(head)
        port = int(head.split()[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(onward, connection, None), daemon=True)
            back.start()
            _pump(connection, onward, None)
            back.join()

    return RawServer(serve, tls)


def _pump(source: socket.socket, target: socket.socket, copy: list[bytes] | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if copy is not None:
                copy.append(data)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
    while missing > 0:
        chunk = connection.recv(missing)
        if not chunk:
            break
        data += chunk
        missing -= len(chunk)
    return data

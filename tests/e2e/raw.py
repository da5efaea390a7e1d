"""Calls on sockets of our own, for clients that misbehave."""

from __future__ import annotations

import json
import socket

from tests.e2e.dialects import MODEL, Dialect


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def call(
    url: str, dialect: Dialect, key: str, *, stream: bool, model: str = MODEL
) -> socket.socket:
    """Sent, and not yet answered."""
    connection = connect(url)
    body = json.dumps(dialect.body(stream=stream, model=model)).encode()
    connection.sendall(head(dialect, key, len(body), stream=stream, model=model) + body)
    return connection


def head(
    dialect: Dialect, key: str, length: int, *, stream: bool = False, model: str = MODEL
) -> bytes:
    lines = [f"POST {dialect.path(model, stream=stream)} HTTP/1.1", "host: gateway"]
    lines += [f"{name}: {value}" for name, value in dialect.headers(key).items()]
    lines += ["content-type: application/json", f"content-length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def receive_until(connection: socket.socket, wanted: bytes) -> bytes:
    """All that came, up to and with `wanted`; fails when the connection ends before."""
    received = b""
    while wanted not in received:
        piece = connection.recv(65536)
        assert piece, f"the connection ended before {wanted!r}: {received!r}"
        received += piece
    return received

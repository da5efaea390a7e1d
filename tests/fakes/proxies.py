"""A strict SOCKS 4, SOCKS 4a, SOCKS 5 or HTTP proxy on this machine, in threads of its own.

It resolves no name but those in `names`, so a test sees who resolved. Whatever breaks the protocol is kept in `faults` and
ends the connection.
"""

from __future__ import annotations

import base64
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import quote, urlsplit


class Fault(Exception):
    pass


class FakeProxy:
    """`refuse`: lets nobody through. `mute`: takes connections and says nothing. `asked`: what each client wanted, as
    (host, port), the host as it was said."""

    def __init__(
        self,
        scheme: str,
        *,
        user: str = "",
        password: str = "",
        names: Mapping[str, str] | None = None,
        refuse: bool = False,
        mute: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.scheme = scheme
        self.user, self.password = user, password
        self.names = dict(names or {})
        self.refuse = refuse
        self.mute = mute
        self.asked: list[tuple[str, int]] = []
        self.faults: list[str] = []
        self.connections = 0
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False

    @classmethod
    @contextmanager
    def running(cls, scheme: str, **options) -> Iterator[FakeProxy]:
        proxy = cls(scheme, **options)
        proxy._start(proxy._accept)
        try:
            yield proxy
        finally:
            proxy.stop()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return self.url_with(self.user, self.password)

    def url_with(self, user: str, password: str) -> str:
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"{self.scheme}://{login + '@' if login else ''}127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._stopping = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in tuple(self._open):
            _close(one)
        for thread in self._threads:
            thread.join(10)

    def _start(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        upstream = None
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._open.add(client)
            if self.mute:
                while client.recv(4096):
                    pass
                return
            greet = {"http": self._http, "https": self._http, "socks4": self._socks4}
            greet |= {"socks4a": self._socks4, "socks5": self._socks5, "socks5h": self._socks5}
            upstream = greet[self.scheme](client)
            if upstream is not None:
                self._open.add(upstream)
                self._start(_pipe, upstream, client)
                _pipe(client, upstream)
        except Fault as fault:
            self.faults.append(str(fault))
        except OSError as exc:
            if not self._stopping:
                self.faults.append(f"{type(exc).__name__}")
        finally:
            for one in (client, upstream):
                if one is not None:
                    _close(one)

    def _reach(self, host: str, port: int) -> socket.socket | None:
        self.asked.append((host, port))
        if self.refuse:
            return None
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host not in self.names:
                return None
            host = self.names[host]
        try:
            return socket.create_connection((host, port), 5)
        except OSError:
            return None

    def _socks5(self, client: socket.socket) -> socket.socket | None:
        version, count = _exactly(client, 2)
        if version != 5 or not count:
            raise Fault(f"SOCKS version {version} with {count} methods")
        methods = _exactly(client, count)
        wanted = 2 if self.user else 0
        if wanted not in methods:
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes([5, wanted]))
        if wanted == 2:
            version, length = _exactly(client, 2)
            user = _exactly(client, length)
            password = _exactly(client, _exactly(client, 1)[0])
            if version != 1:
                raise Fault(f"version {version} of the login")
            good = (user.decode(), password.decode()) == (self.user, self.password)
            client.sendall(bytes([1, 0 if good else 1]))
            if not good:
                return None
        version, command, reserved, kind = _exactly(client, 4)
        if (version, command, reserved) != (5, 1, 0):
            raise Fault(f"command {command} of version {version}")
        if kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode("ascii")
        elif kind in (1, 4):
            host = str(ipaddress.ip_address(_exactly(client, 4 if kind == 1 else 16)))
        else:
            raise Fault(f"address type {kind}")
        port = int.from_bytes(_exactly(client, 2), "big")
        upstream = self._reach(host, port)
        reply = 2 if self.refuse else 0 if upstream else 4
        client.sendall(bytes([5, reply, 0, 1]) + bytes(6))
        return upstream

    def _socks4(self, client: socket.socket) -> socket.socket | None:
        version, command = _exactly(client, 2)
        if (version, command) != (4, 1):
            raise Fault(f"command {command} of version {version}")
        port = int.from_bytes(_exactly(client, 2), "big")
        address = _exactly(client, 4)
        user = _to_nul(client)
        host = str(ipaddress.ip_address(address))
        if address[:3] == b"\0\0\0" and address[3]:
            if self.scheme == "socks4":
                raise Fault("a name, to a proxy that only knows addresses")
            host = _to_nul(client)
        if user != self.user:
            client.sendall(b"\0\x5d" + bytes(6))
            return None
        upstream = self._reach(host, port)
        client.sendall(bytes([0, 0x5A if upstream else 0x5B]) + bytes(6))
        return upstream

    def _http(self, client: socket.socket) -> socket.socket | None:
        head = b""
        while b"\r\n\r\n" not in head:
            if len(head) > 65536:
                raise Fault("a head without end")
            piece = client.recv(4096)
            if not piece:
                return None
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        line, *lines = head.decode("ascii").split("\r\n")
        method, target, version = line.split(" ")
        headers = {}
        for each in lines:
            name, _, value = each.partition(": ")
            if name.lower() in headers:
                raise Fault(f"{name} twice")
            headers[name.lower()] = value
        if version != "HTTP/1.1" or "host" not in headers:
            raise Fault(f"{version}, or no host")
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.user and headers.get("proxy-authorization") != f"Basic {token}":
            client.sendall(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return None
        if method == "CONNECT":
            if headers["host"] != target or body:
                raise Fault("a CONNECT with another host, or with a body")
            parts = urlsplit(f"//{target}")
        else:
            parts = urlsplit(target)
            if parts.scheme != "http" or headers["host"] != parts.netloc:
                raise Fault("a request without its whole URL")
        upstream = self._reach(parts.hostname or "", parts.port or 80)
        if upstream is None:
            status = b"403 Not you" if self.refuse else b"502 Not there"
            client.sendall(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        elif method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            kept = [each for each in lines if not each.lower().startswith("proxy-")]
            text = "\r\n".join([f"{method} {place} HTTP/1.1", *kept, "", ""])
            upstream.sendall(text.encode("ascii") + body)
        return upstream


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            sink.sendall(data)
    # The other side hears that this one has ended, at once.
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise Fault("the client left in the middle of its greeting")
        data += piece
    return data


def _to_nul(sock: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\0"):
        text += _exactly(sock, 1)
    return text[:-1].decode("ascii")


def _close(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()

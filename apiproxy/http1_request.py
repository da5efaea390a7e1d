"""The head of an HTTP/1.1 request, as bytes: straight to the upstream or by way of a proxy."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from gateway.lib.proxies import parse_proxy

_PORTS = {"http": 80, "https": 443}


class Proxy:
    """`url`: as gateway/lib/proxies.py reads it. Two of the same URL are not the same; the client keeps one of each."""

    def __init__(self, url: str, owner: str) -> None:
        """`owner`: whose it is, in words."""
        self.address = parse_proxy(url)
        self.owner = owner
        self.authorization = ""
        """A header line, or nothing."""
        if self.address.user and not self.address.is_socks:
            user = f"{self.address.user}:{self.address.password}"
            token = b64encode(user.encode()).decode()
            self.authorization = f"proxy-authorization: Basic {token}\r\n"

    def connect_head(self, origin: Origin) -> bytes:
        """Asks for a tunnel."""
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        there = f"{host}:{origin.port}"
        return f"CONNECT {there} HTTP/1.1\r\nhost: {there}\r\n{self.authorization}\r\n".encode()


class Origin(NamedTuple):
    """Where a connection leads, and which way: only calls that agree in both may share one."""

    scheme: str
    host: str
    port: int
    proxy: Proxy | None = None

    @property
    def is_relayed(self) -> bool:
        """The proxy reads the requests itself, instead of only passing bytes on."""
        return self.proxy is not None and self.scheme == "http" and not self.proxy.address.is_socks


class Target:
    """What all requests of one method to one URL have in common."""

    def __init__(self, method: str, url: str, proxy: Proxy | None) -> None:
        """ValueError for what no request may hold, and for HEAD, whose answer promises a body that does not come."""
        parts = urlsplit(url)
        self.origin = _origin(parts)._replace(proxy=proxy)
        if not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
            raise ValueError("the URL holds what no request may hold")
        if not method.isalpha() or method in ("HEAD", "CONNECT"):
            raise ValueError("a method that is not spoken here")
        place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authorization = ""
        if proxy is not None and self.origin.is_relayed:
            place = f"http://{parts.netloc}{place}"
            authorization = proxy.authorization
        self._start = f"{method} {place} HTTP/1.1\r\nhost: {parts.netloc}\r\n{authorization}"
        self._bodiless = method == "GET"

    def head(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """ValueError for a header that would be two, or is not ASCII."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        breaks = lines.count("\r"), lines.count("\n")
        if breaks != (len(headers), len(headers)) or not lines.isascii():
            raise ValueError("a header holds what no header may hold")
        length = "" if self._bodiless and not body else f"content-length: {len(body)}\r\n"
        return f"{self._start}{lines}{length}\r\n".encode("ascii")


def _origin(parts: SplitResult) -> Origin:
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an http or https URL with a host is wanted")
    return Origin(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])

"""httpx through any of the proxies that gateway/lib/proxies.py reads; httpx itself speaks less of SOCKS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar

import httpx
from python_socks import ProxyError, ProxyType
from python_socks.sync import Proxy as SocksDialler

from gateway.lib.proxies import ProxyAddress, parse_proxy

T = TypeVar("T")

_VERSIONS = {
    "socks4": ProxyType.SOCKS4,
    "socks4a": ProxyType.SOCKS4,
    "socks5": ProxyType.SOCKS5,
    "socks5h": ProxyType.SOCKS5,
}


def socks(kind: Callable[..., T], address: ProxyAddress) -> T:
    """`kind`: the dialler of python-socks, the blocking one or that of asyncio."""
    return kind(
        _VERSIONS[address.scheme],
        address.host,
        address.port,
        address.user or None,
        address.password or None,
        rdns=address.resolves_names,
    )


def transport_for(proxy: str, tls: ssl.SSLContext) -> httpx.BaseTransport:
    """`proxy` "" goes straight. Failures of a proxy come out as httpx.ProxyError, ConnectError or a timeout."""
    address = parse_proxy(proxy) if proxy else None
    if address is None or not address.is_socks:
        return httpx.HTTPTransport(verify=tls, proxy=address.url if address else None)
    return _SocksTransport(address, tls)


def client(proxy: str, *, tls: ssl.SSLContext, **options: Any) -> httpx.Client:
    return httpx.Client(transport=transport_for(proxy, tls), trust_env=False, **options)


class _SocksTransport(httpx.BaseTransport):
    """A connection a request, and its answer as a whole: what goes this way is rare and small."""

    def __init__(self, address: ProxyAddress, tls: ssl.SSLContext) -> None:
        self._address = address
        self._tls = tls

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        times = request.extensions["timeout"]
        sock = self._reach(request.url, times["connect"])
        sock.settimeout(times["read"])
        connection = _Reached(request.url.host, sock)
        try:
            connection.request(
                request.method,
                request.url.raw_path.decode(),
                body=request.read(),
                headers=dict(request.headers),
            )
            answer = connection.getresponse()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
        except TimeoutError as exc:
            raise httpx.ReadTimeout("no answer in time") from exc
        except (OSError, HTTPException) as exc:
            raise httpx.ReadError("the answer broke off") from exc
        finally:
            connection.close()

    def _reach(self, url: httpx.URL, timeout_s: float | None) -> socket.socket:
        """Connected to the host itself, with TLS where it wants that."""
        secure = url.scheme == "https"
        dialler = socks(SocksDialler, self._address)
        try:
            sock = dialler.connect(url.host, url.port or (443 if secure else 80), timeout=timeout_s)
            return self._tls.wrap_socket(sock, server_hostname=url.host) if secure else sock
        except TimeoutError as exc:
            raise httpx.ConnectTimeout("the proxy did not answer in time") from exc
        except ProxyError as exc:
            raise httpx.ProxyError("the proxy refused") from exc
        except (OSError, UnicodeError) as exc:
            raise httpx.ConnectError("the proxy does not lead there") from exc


class _Reached(HTTPConnection):
    """Over a socket that is connected already."""

    def __init__(self, host: str, sock: socket.socket) -> None:
        super().__init__(host)
        self.sock = sock

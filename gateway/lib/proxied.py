"""httpx through any of the proxies that gateway/lib/proxies.py reads; httpx itself speaks less of SOCKS."""

from __future__ import annotations

import ssl
from typing import Any

import httpcore
import httpx
from httpcore import NetworkBackend, NetworkStream, SyncBackend
from httpcore._backends.sync import SyncStream
from python_socks import ProxyError, ProxyType
from python_socks.sync import Proxy as SocksDialler

from gateway.lib.proxies import ProxyAddress, parse_proxy

SOCKS = {
    "socks4": ProxyType.SOCKS4,
    "socks4a": ProxyType.SOCKS4,
    "socks5": ProxyType.SOCKS5,
    "socks5h": ProxyType.SOCKS5,
}


def transport_for(proxy: str, tls: ssl.SSLContext) -> httpx.BaseTransport:
    """`proxy` "" goes straight. Failures of a proxy come out as httpx.ProxyError, ConnectError or a timeout."""
    address = parse_proxy(proxy) if proxy else None
    if address is None or not address.is_socks:
        return httpx.HTTPTransport(verify=tls, proxy=address.url if address else None)
    return _SocksTransport(address, tls)


def client(proxy: str, *, tls: ssl.SSLContext, **options: Any) -> httpx.Client:
    return httpx.Client(transport=transport_for(proxy, tls), trust_env=False, **options)


class _SocksTransport(httpx.HTTPTransport):
    def __init__(self, address: ProxyAddress, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls)
        self._pool = httpcore.ConnectionPool(ssl_context=tls, network_backend=_Dialler(address))


class _Dialler(NetworkBackend):
    """Opens the way to a host; TLS and HTTP are httpcore's."""

    def __init__(self, address: ProxyAddress) -> None:
        self._address = address

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> NetworkStream:
        address = self._address
        dialler = SocksDialler(
            SOCKS[address.scheme],
            address.host,
            address.port,
            address.user or None,
            address.password or None,
            rdns=address.resolves_names,
        )
        try:
            sock = dialler.connect(host, port, timeout=timeout)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout("the proxy did not answer in time") from exc
        except ProxyError as exc:
            raise httpcore.ProxyError("the proxy refused") from exc
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError("the proxy cannot be reached") from exc
        return SyncStream(sock)

    def sleep(self, seconds: float) -> None:
        SyncBackend().sleep(seconds)

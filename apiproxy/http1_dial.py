"""How a connection comes about: straight, through the tunnel of an HTTP proxy, or through a SOCKS proxy.

What goes wrong between us and the upstream because of a proxy is the proxy's fault and is said so, in words without its
address, user or password.
"""

from __future__ import annotations

import asyncio
import ssl

from python_socks import ProxyConnectionError, ProxyError
from python_socks.async_.asyncio import Proxy as SocksDialler

from apiproxy.http1 import Connection
from apiproxy.http1_request import Origin, Proxy
from gateway.lib.errors import ProxyFailed, UpstreamTimeout, UpstreamUnreachable
from gateway.lib.proxied import socks

PROXY_LOGIN_WANTED = 407


class Dialler:
    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    async def dial(self, connection: Connection, timeout_s: float) -> None:
        """Opens the connection to its origin. Raises UpstreamUnreachable, ProxyFailed."""
        proxy = connection.origin.proxy
        try:
            async with asyncio.timeout(timeout_s):
                if proxy is None:
                    await self._straight(connection)
                else:
                    await self._by_way_of(proxy, connection, timeout_s)
        except (OSError, UnicodeError) as exc:
            # A timeout and what TLS raises are OSErrors; a name that no resolver takes is a UnicodeError. Their text may
            # hold an address: it stays in the chain, not in the words.
            if proxy is not None:
                raise proxy_failed(proxy.owner, "does not lead to the upstream") from exc
            raise UpstreamUnreachable("the upstream cannot be reached: try again") from exc

    async def _straight(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        origin = connection.origin
        await loop.create_connection(
            lambda: connection, origin.host, origin.port, ssl=self._tls_for(origin)
        )

    async def _by_way_of(self, proxy: Proxy, connection: Connection, timeout_s: float) -> None:
        if proxy.address.is_socks:
            await self._socks(proxy, connection, timeout_s)
            return
        await self._reach(proxy, connection)
        if (tls := self._tls_for(connection.origin)) is not None:
            await self._tunnel(proxy, connection, tls)

    async def _reach(self, proxy: Proxy, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        address = proxy.address
        tls = self._tls if address.scheme == "https" else None
        try:
            await loop.create_connection(lambda: connection, address.host, address.port, ssl=tls)
        except (OSError, UnicodeError) as exc:
            raise proxy_failed(proxy.owner, "cannot be reached") from exc

    async def _tunnel(self, proxy: Proxy, connection: Connection, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        origin = connection.origin
        try:
            try:
                await connection.exchange(proxy.connect_head(origin), b"")
            except (UpstreamUnreachable, UpstreamTimeout) as exc:
                raise proxy_failed(proxy.owner, "does not answer") from exc
            if connection.status == PROXY_LOGIN_WANTED:
                raise refuses_login(origin)
            if connection.status // 100 != 2:
                raise ConnectionError(f"the proxy answers {connection.status}")
            transport = await loop.start_tls(
                connection.transport, connection, tls, server_hostname=origin.host
            )
            if transport is None:
                raise ConnectionError("lost during the handshake")
            connection.connection_made(transport)
        except BaseException:
            connection.abort()
            raise

    async def _socks(self, proxy: Proxy, connection: Connection, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        origin = connection.origin
        dialler = socks(SocksDialler, proxy.address)
        try:
            sock = await dialler.connect(origin.host, origin.port, timeout=timeout_s)
        except ProxyConnectionError as exc:
            raise proxy_failed(proxy.owner, "cannot be reached") from exc
        except ProxyError as exc:
            raise proxy_failed(
                proxy.owner, "does not let us through: look at its login, its rules and its network"
            ) from exc
        tls = self._tls_for(origin)
        name = origin.host if tls is not None else None
        await loop.create_connection(lambda: connection, sock=sock, ssl=tls, server_hostname=name)

    def _tls_for(self, origin: Origin) -> ssl.SSLContext | None:
        return self._tls if origin.scheme == "https" else None


def proxy_failed(owner: str, why: str) -> ProxyFailed:
    return ProxyFailed(f"the proxy of {owner} {why}")


def refuses_login(origin: Origin) -> ProxyFailed:
    owner = origin.proxy.owner if origin.proxy else "this site"
    return proxy_failed(owner, "refuses its user name or password")

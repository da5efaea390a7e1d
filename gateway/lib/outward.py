"""Asking an address that a stranger named, without becoming their way into this network.

Only public addresses: the name is resolved here, every address it has must be public, and the connection goes to the
address that was checked, so that a second look-up cannot give another. Redirects are not followed here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

MAX_URL_CHARACTERS = 4096
_TIMEOUT_S = 15.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(ValueError):
    """Not asked, and not worth trying again. The words complete "the address …" and do not repeat it."""


class Undelivered(Exception):
    """Asked without success; it may work later. The words complete "the address …" and do not repeat it."""


class Destination(Struct, frozen=True):
    host: str
    port: int
    secure: bool

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def is_public(address: str) -> bool:
    """False for anything but global unicast, also when it is wrapped in an IPv6 form of an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local:
            return False  # given up long ago, and still routed where somebody set it up
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def destination(url: str) -> Destination:
    """Raises Refused."""
    if len(url) > MAX_URL_CHARACTERS:
        raise Refused(f"is longer than {MAX_URL_CHARACTERS} characters")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        if not host.isascii():
            host = httpx.URL(url).raw_host.decode()
    except (ValueError, httpx.InvalidURL) as exc:
        raise Refused("is not a URL") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("is no http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise Refused("holds a user name or password")
    secure = parts.scheme == "https"
    return Destination(host, port or (443 if secure else 80), secure)


async def public_address(there: Destination, *, private_hosts: Collection[str] = ()) -> str:
    """The address to connect to. `private_hosts`: "host:port" of those that may be in this network. Raises Refused for
    what is not public, Undelivered for a name that does not resolve."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(there.host, there.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Undelivered("has a host name that does not resolve") from exc
    addresses = [str(entry[4][0]) for entry in found]
    if f"{there.host}:{there.port}" not in private_hosts and not all(map(is_public, addresses)):
        raise Refused("leads to an address that is not public")
    return addresses[0]


def pinned(url: str, there: Destination, address: str) -> dict[str, Any]:
    """Arguments of an httpx request that goes to this very address, while Host and certificate are the name's."""
    return {
        "url": httpx.URL(url).copy_with(host=address),
        "headers": {"Host": there.host_header, "Accept": "*/*"},
        "extensions": {"sni_hostname": there.host} if there.secure else {},
    }


def post_json(
    url: str,
    payload: Any,
    *,
    private_hosts: Collection[str] = (),
    headers_of: Callable[[bytes], Mapping[str, str]] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> None:
    """Delivered when the address answers with a 2xx; the answer's body is not read. `headers_of` signs the body.

    Blocks, for up to `timeout_s` in all; not for an event loop. Raises Refused, Undelivered.
    """
    body = json.dumps(payload, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", **(headers_of(body) if headers_of else {})}
    asyncio.run(_post(url, body, headers, private_hosts, timeout_s))


async def _post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    private_hosts: Collection[str],
    timeout_s: float,
) -> None:
    there = destination(url)
    try:
        async with asyncio.timeout(timeout_s):
            address = await public_address(there, private_hosts=private_hosts)
            request = pinned(url, there, address)
            request["headers"] |= headers
            async with (
                httpx.AsyncClient(trust_env=False, follow_redirects=False) as client,
                client.stream("POST", content=body, **request) as response,
            ):
                status = response.status_code
    except TimeoutError as exc:
        raise Undelivered(f"did not answer within {timeout_s:g} s") from exc
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
        raise Undelivered("cannot be reached") from exc
    if not 200 <= status < 300:
        raise Undelivered(f"answered with status {status}")

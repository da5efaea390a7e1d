"""Fetching what a client names by https URL, without becoming its way into this network.

Only public addresses: the name is resolved here, every address it has must be public, and the connection goes to the
address that was checked, so that a second look-up cannot give another. Each redirect is checked the same way.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from apiproxy.config import ProxyConfig
from apiproxy.wire.magic import mime_type_of
from gateway.lib.errors import MediaRejected

Json = dict[str, Any]

_MAX_REDIRECTS = 3
_MAX_URL_CHARACTERS = 4096
_AT_ONCE = 4


class Media:
    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._most_bytes = max(config.max_body_bytes, config.fetch_max_bytes)

    async def inline(self, parts: list[Json]) -> None:
        """Turn each {"fileData": {"fileUri": url}} into inlineData in place. Raises MediaRejected."""
        limit = asyncio.Semaphore(_AT_ONCE)
        size_bytes = 0

        async def one(part: Json) -> None:
            nonlocal size_bytes
            async with limit:
                mime_type, data = await self.fetch(part["fileData"]["fileUri"])
            size_bytes += len(data)
            if size_bytes > self._most_bytes:
                raise MediaRejected(
                    f"the linked files are larger than {self._most_bytes:,} bytes together: link fewer"
                )
            del part["fileData"]
            part["inlineData"] = {"mimeType": mime_type, "data": base64.b64encode(data).decode()}

        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(one(part))
        except* MediaRejected as rejected:
            raise rejected.exceptions[0] from None

    async def fetch(self, url: str) -> tuple[str, bytes]:
        """(MIME type as the bytes say, bytes). Raises MediaRejected in words for the client."""
        try:
            async with asyncio.timeout(self._config.fetch_timeout_s):
                for _ in range(_MAX_REDIRECTS + 1):
                    answer = await self._get(url)
                    if isinstance(answer, bytes):
                        return _sniffed(answer), answer
                    url = urljoin(url, answer)
        except TimeoutError as exc:
            raise _rejected(
                f"took longer than the {self._config.fetch_timeout_s:g} s allowed"
            ) from exc
        raise _rejected(f"redirects more than {_MAX_REDIRECTS} times")

    async def _get(self, url: str) -> bytes | str:
        """The body, or where a redirect leads."""
        host, port, secure = _destination(url)
        address = await self._public_address(host, port)
        target = httpx.URL(url).copy_with(host=address)
        request_headers = {"Host": host if port in (80, 443) else f"{host}:{port}", "Accept": "*/*"}
        extensions = {"sni_hostname": host} if secure else {}
        try:
            async with (
                httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=10) as client,
                client.stream(
                    "GET", target, headers=request_headers, extensions=extensions
                ) as response,
            ):
                if response.is_redirect:
                    return str(response.headers.get("location", ""))
                if response.status_code != 200:
                    raise _rejected(f"answers with status {response.status_code}")
                return await self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            raise _rejected("cannot be fetched") from exc

    async def _read(self, response: httpx.Response) -> bytes:
        limit = self._config.fetch_max_bytes
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > limit:
                raise _rejected(f"is larger than the {limit:,} bytes allowed")
            pieces.append(piece)
        return b"".join(pieces)

    async def _public_address(self, host: str, port: int) -> str:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise _rejected("has a host name that does not resolve") from exc
        addresses = [str(entry[4][0]) for entry in found]
        if f"{host}:{port}" not in self._config.fetch_private_hosts:
            for address in addresses:
                if not is_public(address):
                    raise _rejected("leads to an address that is not public")
        return addresses[0]


def is_public(address: str) -> bool:
    """False for anything but global unicast, also when it is wrapped in an IPv6 form of an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _destination(url: str) -> tuple[str, int, bool]:
    if len(url) > _MAX_URL_CHARACTERS:
        raise _rejected(f"is longer than {_MAX_URL_CHARACTERS} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise _rejected("is not a URL") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _rejected("is neither a data: nor an http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise _rejected("holds a user name or password")
    secure = parts.scheme == "https"
    return parts.hostname, port or (443 if secure else 80), secure


def _sniffed(data: bytes) -> str:
    if mime_type := mime_type_of(data):
        return mime_type
    raise _rejected("is no image, document or sound that a model takes")


def _rejected(why: str) -> MediaRejected:
    return MediaRejected(f"the linked file {why}: send it as a data: URL, or link another")

"""Fetching what a client names by https URL: only from public addresses (gateway/lib/outward.py), and each redirect is
checked the same way.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import urljoin

import httpx

from apiproxy.config import ProxyConfig
from apiproxy.wire.magic import mime_type_of
from gateway.lib.errors import MediaRejected
from gateway.lib.outward import Refused, Undelivered, destination, pinned, public_address

Json = dict[str, Any]

_MAX_REDIRECTS = 3
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
        try:
            there = destination(url)
            allowed = self._config.fetch_private_hosts
            address = await public_address(there, private_hosts=allowed)
            async with (
                httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=10) as client,
                client.stream("GET", **pinned(url, there, address)) as response,
            ):
                if response.is_redirect:
                    return str(response.headers.get("location", ""))
                if response.status_code != 200:
                    raise _rejected(f"answers with status {response.status_code}")
                return await self._read(response)
        except (Refused, Undelivered) as exc:
            raise _rejected(str(exc)) from exc
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


def _sniffed(data: bytes) -> str:
    if mime_type := mime_type_of(data):
        return mime_type
    raise _rejected("is no image, document or sound that a model takes")


def _rejected(why: str) -> MediaRejected:
    return MediaRejected(f"the linked file {why}: send it as a data: URL, or link another")

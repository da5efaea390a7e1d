"""One request to the edge of this process, as a server would hand it over."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from msgspec import Struct

from apiproxy import asgi
from apiproxy.selftest.talk import Json, Wrong, demand
from apiproxy.wire import codec

_HOST = b"selftest.invalid"


class Seen(Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        demand(self.headers.get("content-type", "").startswith("application/json"), "no JSON")
        try:
            value: Json = codec.loads(self.body)
        except codec.DecodeError as exc:
            raise Wrong(f"the answer is not JSON: {self.body[:80]!r}") from exc
        return value


async def visit(
    method: str, path: str, headers: dict[str, str], body: bytes, query: str = ""
) -> Seen:
    """Raises Wrong when no whole answer comes."""
    messages: list[MutableMapping[str, Any]] = []
    given = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", _HOST), *((k.encode(), v.encode()) for k, v in given.items())],
        "client": ("127.0.0.1", 0),
        "server": (_HOST.decode(), 80),
    }
    asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        # This client never leaves.
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    await asgi.application(scope, receive, send)
    demand(len(messages) > 1 and not messages[-1].get("more_body"), "the answer is not whole")
    return Seen(
        status=messages[0]["status"],
        headers={name.decode(): value.decode() for name, value in messages[0]["headers"]},
        body=b"".join(message.get("body", b"") for message in messages[1:]),
    )

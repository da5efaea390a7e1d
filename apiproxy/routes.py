"""Which address is whose: (path, method) -> endpoint and dialect."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from msgspec import Struct

from apiproxy import endpoints
from apiproxy.endpoints import Answer
from apiproxy.request import Headers, Reply, Request
from apiproxy.runtime import Runtime
from gateway.lib.errors import MethodNotAllowed, UnknownRoute

Endpoint = Callable[[Runtime, Request], Awaitable[Answer]]


class Route(Struct, frozen=True):
    dialect: str
    endpoint: Endpoint


_POSTS = {
    "/v1/chat/completions": Route("openai-chat", endpoints.chat_completions),
}
_PATHS_OF_MODELS = re.compile(r"(/v1|/v1beta|/gemini/v1beta)/models(?:/(.+))?", re.DOTALL)
_GEMINI_PREFIXES = ("/v1beta/", "/gemini/")

# Chat clients that run in a browser call from another origin. Keys travel in headers, never in cookies.
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"*, authorization"),
    (b"access-control-max-age", b"86400"),
]


async def answer(live: Runtime, request: Request) -> Answer:
    """Raises UnknownRoute and MethodNotAllowed beside whatever the endpoint raises."""
    path, method = request.path, request.method
    if method == "OPTIONS":
        return Reply(204, _PREFLIGHT, b"")
    route = _POSTS.get(path)
    if route is not None:
        if method != "POST":
            raise MethodNotAllowed(f"POST to {path}")
        return await route.endpoint(live, request)
    if (found := _PATHS_OF_MODELS.fullmatch(path)) is not None:
        return await _models(live, request, found[2] or "")
    raise UnknownRoute(f"there is no {path} here")


def dialect_of(request: Request) -> str:
    """Whose shape a caller expects, also for an error."""
    route = _POSTS.get(request.path)
    if route is not None:
        return route.dialect
    found = _PATHS_OF_MODELS.fullmatch(request.path)
    if found is None:
        return "gemini" if request.path.startswith(_GEMINI_PREFIXES) else "openai-chat"
    if found[1] != "/v1" or ":" in (found[2] or ""):
        return "gemini"
    # /v1/models is every vendor's: how the caller says who it is decides.
    if b"x-goog-api-key" in request.headers or "key" in request.query:
        return "gemini"
    return "openai-chat"


async def _models(live: Runtime, request: Request, name: str) -> Answer:
    if request.method == "POST":
        model, colon, model_method = name.rpartition(":")
        if not colon:
            raise MethodNotAllowed("POST to a method of the model, such as :generateContent")
        return await endpoints.gemini_method(live, request, model, model_method)
    if request.method != "GET":
        raise MethodNotAllowed(f"GET {request.path}, or POST to a method of a model")
    dialect = dialect_of(request)
    if name:
        return await endpoints.get_model(live, request, dialect, name)
    return await endpoints.list_models(live, request, dialect)

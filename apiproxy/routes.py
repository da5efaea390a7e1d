"""Which address is whose: (path, method) -> endpoint and dialect."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from msgspec import Struct

from apiproxy import balance_endpoints, endpoints, image_endpoints
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
    "/v1/embeddings": Route("openai-embeddings", endpoints.embeddings),
    "/v1/images/generations": Route("openai-images", image_endpoints.images),
    "/v1/images/edits": Route("openai-images", image_endpoints.image_edits),
    "/v1/images/edit": Route("openai-images", image_endpoints.image_edits),
    "/v1/images/variations": Route("openai-images", image_endpoints.image_variations),
    "/v1/generate": Route("simple", image_endpoints.simple_text),
    "/v1/generate-images": Route("simple", image_endpoints.simple_images),
    "/v1/responses": Route("openai-responses", endpoints.create_response),
    "/v1/messages": Route("anthropic-messages", endpoints.create_message),
    "/v1/messages/count_tokens": Route("anthropic-messages", endpoints.count_message_tokens),
}
# Clients ask for these with and without the /v1 of their base URL.
_BALANCES: dict[str, Endpoint] = {
    "/v1/key": balance_endpoints.key,
    **{
        f"{prefix}/dashboard/billing/{name}": endpoint
        for prefix in ("/v1", "")
        for name, endpoint in (
            ("subscription", balance_endpoints.subscription),
            ("usage", balance_endpoints.usage),
        )
    },
}
_PATHS_OF_RESPONSES = re.compile(r"/v1/responses/([^/]+)(/input_items|/cancel)?")
_PATHS_OF_MODELS = re.compile(r"(/v1|/v1beta|/gemini/v1beta)/models(?:/(.+))?", re.DOTALL)
_GEMINI_PREFIXES = ("/v1beta/", "/gemini/")
_ANTHROPIC_PREFIX = "/v1/messages/"

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
    if (found := _PATHS_OF_RESPONSES.fullmatch(path)) is not None:
        return await _response(live, request, found[1], found[2] or "")
    if (balance := _BALANCES.get(path)) is not None:
        if method != "GET":
            raise MethodNotAllowed(f"GET {path}")
        return await balance(live, request)
    raise UnknownRoute(f"there is no {path} here")


def dialect_of(request: Request) -> str:
    """Whose shape a caller expects, also for an error."""
    route = _POSTS.get(request.path)
    if route is not None:
        return route.dialect
    found = _PATHS_OF_MODELS.fullmatch(request.path)
    if found is None:
        if request.path.startswith(_ANTHROPIC_PREFIX):
            return "anthropic-messages"
        return "gemini" if request.path.startswith(_GEMINI_PREFIXES) else "openai-chat"
    if found[1] != "/v1" or ":" in (found[2] or ""):
        return "gemini"
    # /v1/models is every vendor's: how the caller says who it is decides.
    if b"x-goog-api-key" in request.headers or "key" in request.query:
        return "gemini"
    if b"anthropic-version" in request.headers or b"x-api-key" in request.headers:
        return "anthropic-messages"
    return "openai-chat"


async def _response(live: Runtime, request: Request, response_id: str, rest: str) -> Answer:
    allowed = {"": ("GET", "DELETE"), "/input_items": ("GET",), "/cancel": ("POST",)}[rest]
    if request.method not in allowed:
        raise MethodNotAllowed(f"{' or '.join(allowed)} {request.path}")
    if rest == "/input_items":
        return await endpoints.response_input(live, request, response_id)
    if rest == "/cancel":
        return await endpoints.cancel_response(live, request, response_id)
    return await endpoints.stored_response(live, request, response_id)


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

"""One coroutine per public endpoint. No framework: a Request goes in, a Reply or StreamReply comes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from apiproxy import capabilities
from apiproxy.admission import Principal
from apiproxy.dialects import (
    DIALECTS,
    gemini,
    models_list,
    openai_responses,
    openai_responses_stored,
)
from apiproxy.dialects.base import Dialect
from apiproxy.dialects.fields import deeper_than
from apiproxy.dialects.openai_responses_request import Recalled
from apiproxy.request import JSON, Header, Reply, Request, StreamReply
from apiproxy.runtime import Runtime
from apiproxy.service import Service
from apiproxy.trace import Trace
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Head
from gateway.lib.errors import GatewayError, InvalidRequest, UnknownRoute

Json = dict[str, Any]
Answer = Reply | StreamReply

# Deeper than any real request, and well within what every encoder on the way takes.
_MAX_DEPTH = 200

_IDEMPOTENCY_KEY = b"idempotency-key"

_GEMINI_METHODS = frozenset(
    {"generateContent", "streamGenerateContent", "countTokens"}
    | {"embedContent", "batchEmbedContents"}
)


async def chat_completions(runtime: Runtime, request: Request) -> Answer:
    """OpenAI chat; a Gemini body (`contents`) is answered in Gemini's shape."""

    def parse(body: Json, head: Head) -> tuple[str, Call]:
        resolve = runtime.feed.catalogue.resolve
        if gemini.is_gemini_body(body):
            return "gemini", gemini.parse_chat_body(body, head, resolve)
        return "openai-chat", DIALECTS["openai-chat"].parse(body, head, resolve)

    head = Head(request.id, request.received_at)
    return await serve(runtime, request, head, "openai-chat", parse)


async def generate(runtime: Runtime, request: Request, dialect: str, *, method: str = "") -> Answer:
    """A route whose dialect says all there is to say about it. `method`: see `Head.path_method`."""

    def parse(body: Json, head: Head) -> tuple[str, Call]:
        return dialect, DIALECTS[dialect].parse(body, head, runtime.feed.catalogue.resolve)

    head = Head(request.id, request.received_at, path_method=method)
    return await serve(runtime, request, head, dialect, parse)


async def embeddings(runtime: Runtime, request: Request) -> Answer:
    """OpenAI Embeddings."""
    return await generate(runtime, request, "openai-embeddings")


async def create_response(runtime: Runtime, request: Request) -> Answer:
    """OpenAI Responses."""
    recalled = Recalled()

    async def recall(principal: Principal, body: Json) -> int:
        nonlocal recalled
        recalled = await runtime.kept.recall(principal.key_id, body)
        return recalled.size_bytes

    def parse(body: Json, head: Head) -> tuple[str, Call]:
        resolve = runtime.feed.catalogue.resolve
        return "openai-responses", openai_responses.parse(body, head, resolve, recalled)

    head = Head(request.id, request.received_at)
    return await serve(runtime, request, head, "openai-responses", parse, expand=recall)


async def stored_response(runtime: Runtime, request: Request, response_id: str) -> Reply:
    """GET and DELETE of one response."""
    principal = await runtime.admission.identify(request)
    if request.method == "DELETE":
        await runtime.kept.delete(principal.key_id, response_id)
        return _json_reply({"id": response_id, "object": "response", "deleted": True})
    if request.query.get("stream") == "true":
        raise InvalidRequest("only background responses are streamed again", param="stream")
    stored = await runtime.kept.find(principal.key_id, response_id)
    return _json_reply(openai_responses_stored.shown(stored.response, request.query))


async def response_input(runtime: Runtime, request: Request, response_id: str) -> Reply:
    principal = await runtime.admission.identify(request)
    stored = await runtime.kept.find(principal.key_id, response_id)
    items = stored.listed_input()
    return _json_reply(openai_responses_stored.item_list(items, request.query))


async def cancel_response(runtime: Runtime, request: Request, response_id: str) -> Reply:
    principal = await runtime.admission.identify(request)
    await runtime.kept.find(principal.key_id, response_id)
    raise InvalidRequest("only background responses can be cancelled: close the connection instead")


async def create_message(runtime: Runtime, request: Request) -> Answer:
    """Anthropic Messages."""
    answer = await generate(runtime, request, "anthropic-messages")
    answer.headers.append(_anthropic_id(request))
    return answer


async def count_message_tokens(runtime: Runtime, request: Request) -> Answer:
    """As Anthropic's, answered by the model that would get the message."""
    answer = await generate(runtime, request, "anthropic-messages", method="countTokens")
    answer.headers.append(_anthropic_id(request))
    return answer


async def gemini_method(runtime: Runtime, request: Request, model: str, method: str) -> Answer:
    """`{model}:{method}` of Gemini's native surface."""
    if method not in _GEMINI_METHODS:
        raise UnknownRoute(f"there is no method {method!r}: {', '.join(sorted(_GEMINI_METHODS))}")

    def parse(body: Json, head: Head) -> tuple[str, Call]:
        return "gemini", DIALECTS["gemini"].parse(body, head, runtime.feed.catalogue.resolve)

    head = Head(
        request.id,
        request.received_at,
        path_model=model,
        path_method=method,
        sse=request.query.get("alt") == "sse",
    )
    return await serve(runtime, request, head, "gemini", parse)


async def list_models(runtime: Runtime, request: Request, dialect: str) -> Reply:
    await runtime.admission.identify(request)
    models = runtime.feed.catalogue.listed(with_variants=_with_variants(runtime, request))
    if dialect == "gemini":
        page_size, token = request.query.get("pageSize", ""), request.query.get("pageToken", "")
        return _json_reply(models_list.gemini_models(models, page_size, token))
    if dialect == "anthropic-messages":
        page = models_list.anthropic_models(models, request.query)
        return _json_reply(page, _anthropic_id(request))
    return _json_reply(models_list.openai_models(models))


def _with_variants(runtime: Runtime, request: Request) -> bool:
    asked = request.query.get("variants", "").lower()
    return asked in ("1", "true", "yes") if asked else runtime.config.list_variants


async def get_model(runtime: Runtime, request: Request, dialect: str, name: str) -> Reply:
    await runtime.admission.identify(request)
    model = runtime.feed.catalogue.resolve(name)
    if dialect == "gemini":
        return _json_reply(models_list.gemini_model(model))
    if dialect == "anthropic-messages":
        return _json_reply(models_list.anthropic_model(model), _anthropic_id(request))
    return _json_reply(models_list.openai_model(model))


async def serve(
    runtime: Runtime,
    request: Request,
    head: Head,
    dialect: str,
    parse: Callable[[Json, Head], tuple[str, Call]],
    *,
    read: Callable[[bytes], Json] | None = None,
    expand: Callable[[Principal, Json], Awaitable[int]] | None = None,
) -> Answer:
    """Admit the call and hand it to its service. Whatever ends it, its row in the request log says why.

    `read`: how the body is read where it may be something else than a JSON object. `expand` looks up
    what the body only refers to and tells how many bytes that is.
    """
    trace = Trace(
        request_id=request.id,
        started_at=request.received_at,
        started=request.started,
        dialect=dialect,
    )
    service = Service(runtime, trace, request)
    try:
        admission = runtime.admission
        principal = await admission.whose(request)
        # Before it may be turned away: its owner asks why by the request's id.
        trace.key_id = principal.key_id or None
        trace.owner_id, trace.group_id = principal.owner_id or None, principal.group_id or None
        trace.tariff = principal.tariff
        admission.let_in(principal, request)
        body = await request.read_body()
        given = _object(body) if read is None else read(body)
        size_bytes = len(body)
        if expand is not None:
            size_bytes += await expand(principal, given)
        dialect, call = parse(given, head)
        capabilities.check(call)
        service.admit(principal, call, dialect)
        admission.permit(principal, call, dialect)
        if _IDEMPOTENCY_KEY in request.headers and (known := await service.claim(body)):
            return known
        await service.enter(size_bytes)
        renders: Dialect = DIALECTS[dialect]
        if call.stream:
            return service.stream(renders)
        return await service.whole(renders)
    except GatewayError as error:
        await service.fail(error)
        raise
    except BaseException as failure:
        service.give_up(failure)
        raise


def _object(body: bytes) -> Json:
    try:
        value = codec.loads(body)
    except codec.DecodeError as exc:
        # orjson names the position, never the text.
        raise InvalidRequest(f"the body is not valid JSON: {exc.msg}") from exc
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    if body.count(b"{") + body.count(b"[") > _MAX_DEPTH and deeper_than(value, _MAX_DEPTH):
        raise InvalidRequest(f"the body is nested deeper than {_MAX_DEPTH} levels")
    return value


def _json_reply(value: Json, *headers: Header) -> Reply:
    return Reply(200, [JSON, *headers], codec.dumps(value))


def _anthropic_id(request: Request) -> Header:
    """Anthropic's clients look for the request's id under a name of its own."""
    return (b"request-id", request.id.encode())

"""One coroutine per public endpoint. No framework: a Request goes in, a Reply or StreamReply comes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from apiproxy.admission import Principal
from apiproxy.dialects import DIALECTS, gemini, models_list
from apiproxy.dialects.base import Dialect
from apiproxy.dialects.fields import deeper_than
from apiproxy.request import JSON, Reply, Request, StreamReply
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

_GEMINI_METHODS = frozenset({"generateContent", "streamGenerateContent", "countTokens"})


async def chat_completions(runtime: Runtime, request: Request) -> Answer:
    """OpenAI chat; a Gemini body (`contents`) is answered in Gemini's shape."""

    def parse(body: Json, head: Head) -> tuple[str, Call]:
        resolve = runtime.feed.catalogue.resolve
        if gemini.is_gemini_body(body):
            return "gemini", gemini.parse_chat_body(body, head, resolve)
        return "openai-chat", DIALECTS["openai-chat"].parse(body, head, resolve)

    head = Head(request.id, request.received_at)
    return await _serve(runtime, request, head, "openai-chat", parse)


async def generate(runtime: Runtime, request: Request, dialect: str) -> Answer:
    """A route whose dialect says all there is to say about it."""

    def parse(body: Json, head: Head) -> tuple[str, Call]:
        return dialect, DIALECTS[dialect].parse(body, head, runtime.feed.catalogue.resolve)

    return await _serve(runtime, request, Head(request.id, request.received_at), dialect, parse)


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
    return await _serve(runtime, request, head, "gemini", parse)


async def list_models(runtime: Runtime, request: Request, dialect: str) -> Reply:
    await runtime.admission.identify(request.api_key())
    models = runtime.feed.catalogue.listed()
    if dialect == "gemini":
        page_size, token = request.query.get("pageSize", ""), request.query.get("pageToken", "")
        return _json_reply(models_list.gemini_models(models, page_size, token))
    return _json_reply(models_list.openai_models(models))


async def get_model(runtime: Runtime, request: Request, dialect: str, name: str) -> Reply:
    await runtime.admission.identify(request.api_key())
    model = runtime.feed.catalogue.resolve(name)
    if dialect == "gemini":
        return _json_reply(models_list.gemini_model(model))
    return _json_reply(models_list.openai_model(model))


async def _serve(
    runtime: Runtime,
    request: Request,
    head: Head,
    dialect: str,
    parse: Callable[[Json, Head], tuple[str, Call]],
    *,
    read: Callable[[bytes], Json] | None = None,
    expand: Callable[[Principal, Json], Awaitable[None]] | None = None,
) -> Answer:
    """Admit the call and hand it to its service. Whatever ends it, its row in the request log says why.

    `read`: how the body is read where it may be something else than a JSON object. `expand` puts into the body, in
    place, what it only refers to.
    """
    trace = Trace(
        request_id=request.id,
        started_at=request.received_at,
        started=request.started,
        dialect=dialect,
    )
    service = Service(runtime, trace)
    try:
        admission = runtime.admission
        key = request.api_key()
        principal = admission.known(key) or await admission.identify(key)
        trace.key_id = principal.key_id or None
        body = await request.read_body()
        given = _object(body) if read is None else read(body)
        if expand is not None:
            await expand(principal, given)
        dialect, call = parse(given, head)
        service.admit(principal, call, dialect)
        admission.permit(principal, call)
        await service.reserve(len(body))
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


def _json_reply(value: Json) -> Reply:
    return Reply(200, [JSON], codec.dumps(value))

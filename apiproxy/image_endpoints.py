"""The endpoints that draw, and the two whose requests need not name a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apiproxy import multipart
from apiproxy.dialects import openai_images, simple
from apiproxy.dialects.base import Resolve
from apiproxy.endpoints import Answer, serve
from apiproxy.request import Request
from apiproxy.runtime import Runtime
from apiproxy.wire.types import Call, Head
from gateway.lib.errors import InvalidRequest

Json = dict[str, Any]

Parse = Callable[[Json, Head, Resolve], Call]


async def images(runtime: Runtime, request: Request) -> Answer:
    """OpenAI's `images/generations`."""
    return await _answer(runtime, request, "openai-images", openai_images.parse, draws=True)


async def image_edits(runtime: Runtime, request: Request) -> Answer:
    """OpenAI's `images/edits`: a form with files, or JSON."""
    return await _answer(runtime, request, "openai-images", openai_images.parse_edit, draws=True)


async def image_variations(runtime: Runtime, request: Request) -> Answer:
    raise InvalidRequest(
        "variations are not offered: send the picture to /v1/images/edits and say in the prompt what is to vary"
    )


async def simple_text(runtime: Runtime, request: Request) -> Answer:
    return await _answer(runtime, request, "simple", simple.parse, draws=False)


async def simple_images(runtime: Runtime, request: Request) -> Answer:
    return await _answer(runtime, request, "simple", simple.parse_images, draws=True)


async def _answer(
    runtime: Runtime, request: Request, dialect: str, parse: Parse, *, draws: bool
) -> Answer:
    def parsed(body: Json, head: Head) -> tuple[str, Call]:
        if body.get("model") is None:
            body["model"] = _default_model(runtime, draws=draws)
        return dialect, parse(body, head, runtime.feed.catalogue.resolve)

    head = Head(request.id, request.received_at)
    headers = request.headers
    read = partial(multipart.read_form, headers=headers) if multipart.is_form(headers) else None
    return await serve(runtime, request, head, dialect, parsed, read=read)


def _default_model(runtime: Runtime, *, draws: bool) -> str:
    """The setting's, else the first of the catalogue that somebody lent a credential for."""
    config = runtime.config
    if chosen := config.default_image_model if draws else config.default_chat_model:
        return chosen
    for model in runtime.feed.catalogue.listed():
        fits = "chat" in model.capabilities and ("image_output" in model.capabilities) is draws
        if fits and model.providers != ("sandbox",) and runtime.pool.serves(model.providers):
            return model.id
    raise InvalidRequest("name a model: GET /v1/models lists those of this site", param="model")

"""`/v1/generate` and `/v1/generate-images`: a prompt in, a text or pictures out. The functions of `base.Dialect`."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import drawing, generation, picture_sizes
from apiproxy.dialects.base import Resolve
from apiproxy.dialects.content import media_url, shown_text
from apiproxy.dialects.conversation import Conversation
from apiproxy.dialects.drawn import pictures_of
from apiproxy.dialects.fields import as_integer, as_name, as_object, as_text, not_understood
from apiproxy.dialects.finish import blocked_text, failure_text
from apiproxy.dialects.replies import merge
from apiproxy.dialects.whole_only import refuse_stream, render_error, stream, stream_headers
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Call, Head, ImageDelivery, Json, Usage
from apiproxy.wire.usage import blocked, candidates, parts, usage_of
from gateway.lib.errors import UpstreamRefused

__all__ = ["parse", "parse_images", "render", "render_error", "stream", "stream_headers"]

_UNDERSTOOD = frozenset(
    {"image", "max_tokens", "model", "prompt", "stream", "system", "temperature", "top_p"}
)
_UNDERSTOOD_OF_IMAGES = frozenset(
    {"count", "image", "model", "prompt", "quality", "response_type", "size", "stream"}
)
_RESPONSE_TYPES: dict[str, ImageDelivery] = {"base64": "inline", "url": "url"}


def parse(body: Json, head: Head, resolve: Resolve) -> Call:
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    refuse_stream(body)
    prompt = as_name(body.get("prompt"), "prompt")
    dropped = not_understood(body, _UNDERSTOOD)
    remote: list[Json] = []
    conversation = Conversation(model)
    if (system := body.get("system")) is not None:
        conversation.system.append({"text": as_text(system, "system")})
    pictures = drawing.reference_pictures(body.get("image"), "image", remote)
    conversation.history.add_user([*pictures, {"text": prompt}])
    contents, instruction = conversation.canonical(dropped)
    canonical: Json = {"contents": contents}
    if instruction is not None:
        canonical["systemInstruction"] = instruction
    config: Json = {}
    generation.add_sampling(config, body)
    generation.add_output_limit(config, body, model, "max_tokens")
    generation.add_modalities(config, None, model)
    if config:
        canonical["generationConfig"] = config
    return Call(
        head=head,
        dialect="simple",
        model=model,
        requested_model=requested,
        action=Action.GENERATE,
        stream=False,
        body=canonical,
        remote_parts=remote,
        dropped=dropped,
    )


def parse_images(body: Json, head: Head, resolve: Resolve) -> Call:
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    drawing.require_drawing(model)
    refuse_stream(body)
    dropped = not_understood(body, _UNDERSTOOD_OF_IMAGES)
    count = body.get("count")
    remote: list[Json] = []
    return drawing.call_of(
        head,
        dialect="simple",
        model=model,
        requested=requested,
        prompt=as_name(body.get("prompt"), "prompt"),
        references=drawing.reference_pictures(body.get("image"), "image", remote),
        image_config=picture_sizes.image_config(
            model,
            size=as_text(body.get("size") or "", "size"),
            quality=as_text(body.get("quality") or "", "quality"),
            dropped=dropped,
        ),
        count=1 if count is None else as_integer(count, "count", 1, drawing.MOST_PICTURES),
        delivery=drawing.delivery_of(body.get("response_type"), "response_type", _RESPONSE_TYPES),
        remote=remote,
        dropped=dropped,
    )


def render(call: Call, replies: list[Json]) -> bytes:
    answer = _pictures(call, replies) if call.pictures_only else _text(replies)
    return codec.dumps({**answer, "model": call.requested_model, "usage": _usage(replies)})


def _pictures(call: Call, replies: list[Json]) -> Json:
    found = pictures_of(replies)[: call.answers]
    return {"images": [media_url(part) for part, _ in found]}


def _text(replies: list[Json]) -> Json:
    """The first candidate; a picture it drew stands in the text, as it does in chats."""
    reply = merge(replies)
    if reason := blocked(reply):
        raise UpstreamRefused(f"{blocked_text(reason)} Change the prompt.", param="prompt")
    found = candidates(reply)[:1]
    pieces = [_shown(part) for candidate in found for part in parts(candidate)]
    return {"text": "".join([*pieces, *map(failure_text, found)])}


def _shown(part: Json) -> str:
    if part.get("thought"):
        return ""
    if text := shown_text(part):
        return text
    url = media_url(part)
    return f"![image]({url})" if url else ""


def _usage(replies: list[Json]) -> Json:
    usage: Any = usage_of(replies[-1]) or Usage()
    output = usage.output_tokens + usage.thinking_tokens
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": output,
        "total_tokens": usage.input_tokens + output,
    }

"""OpenAI's Images endpoints: the functions of `base.Dialect`."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects.content import as_written
from apiproxy.dialects.drawn import pictures_of
from apiproxy.dialects.openai_images_request import parse, parse_edit
from apiproxy.dialects.whole_only import render_error, stream, stream_headers
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import usage_of

__all__ = ["parse", "parse_edit", "render", "render_error", "stream", "stream_headers"]


def render(call: Call, replies: list[Json]) -> bytes:
    """Raises the error that fits when nothing was drawn."""
    pictures = pictures_of(replies)[: call.answers]
    answer: Json = {
        "created": int(call.head.received_at),
        "data": [_image(part, text) for part, text in pictures],
        "output_format": _format_of(pictures[0][0]),
        "usage": _usage(replies),
    }
    return codec.dumps(answer)


def _image(part: Json, text: str) -> Json:
    image: Json = {}
    if (link := part.get("fileData")) is not None:
        image["url"] = as_written(link.get("fileUri"))
    else:
        image["b64_json"] = as_written(part["inlineData"].get("data"))
    if text:
        image["revised_prompt"] = text
    return image


def _format_of(part: Json) -> str:
    media: Json = part.get("inlineData") or part["fileData"]
    return str(media["mimeType"]).partition("/")[2]


def _usage(replies: list[Json]) -> Json:
    """Only the last reply carries counts, those of all upstream calls together."""
    usage = usage_of(replies[-1]) or Usage()
    output = usage.output_tokens + usage.thinking_tokens
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": _by_modality(
            replies[-1], "promptTokensDetails", usage.input_tokens
        ),
        "output_tokens": output,
        "output_tokens_details": _by_modality(replies[-1], "candidatesTokensDetails", output),
        "total_tokens": usage.input_tokens + output,
    }


def _by_modality(reply: Json, field: str, total: int) -> Json:
    """What is not said to be a picture's counts as text."""
    counts: Any = reply.get("usageMetadata")
    details = counts.get(field) if isinstance(counts, dict) else None
    images = sum(
        count
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict)
        and detail.get("modality") == "IMAGE"
        and isinstance(count := detail.get("tokenCount"), int)
    )
    return {"image_tokens": images, "text_tokens": max(total - images, 0)}

"""`/v1/images/generations` and `/v1/images/edits` of OpenAI -> `Call` (reference 3.5)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import drawing, picture_sizes
from apiproxy.dialects.base import Resolve
from apiproxy.dialects.fields import (
    as_integer,
    as_name,
    as_object,
    as_text,
    not_understood,
    wrong,
)
from apiproxy.dialects.whole_only import refuse_stream
from apiproxy.wire.types import Call, Head, ImageDelivery, Json, Model
from gateway.lib.errors import InvalidRequest

_UNDERSTOOD = frozenset(
    {
        "aspect_ratio",
        "image",
        "image_size",
        "images",
        "mask",
        "model",
        "n",
        "partial_images",
        "prompt",
        "quality",
        "response_format",
        "size",
        "stream",
    }
)
_FORMATS: dict[str, ImageDelivery] = {"b64_json": "inline", "url": "url"}


def parse(body: Json, head: Head, resolve: Resolve) -> Call:
    """A drawing from a prompt, and from pictures too where there are any."""
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    drawing.require_drawing(model)
    refuse_stream(body)
    _refuse_what_would_be_ignored(body)
    prompt = as_name(body.get("prompt"), "prompt")
    dropped = not_understood(body, _UNDERSTOOD)
    remote: list[Json] = []
    references = [
        part
        for field in ("image", "images")
        for part in drawing.reference_pictures(body.get(field), field, remote)
    ]
    count = body.get("n")
    return drawing.call_of(
        head,
        dialect="openai-images",
        model=model,
        requested=requested,
        prompt=prompt,
        references=references,
        image_config=_image_config(body, model, dropped),
        count=1 if count is None else as_integer(count, "n", 1, drawing.MOST_PICTURES),
        delivery=drawing.delivery_of(body.get("response_format"), "response_format", _FORMATS),
        remote=remote,
        dropped=dropped,
    )


def parse_edit(body: Json, head: Head, resolve: Resolve) -> Call:
    """As `parse`, but there must be a picture to edit."""
    as_object(body, "")
    if not body.get("image") and not body.get("images"):
        raise wrong("image", None, "a picture or a list of them")
    return parse(body, head, resolve)


def _refuse_what_would_be_ignored(body: Json) -> None:
    if body.get("partial_images"):
        raise InvalidRequest(
            "pictures come whole here: leave partial_images out", param="partial_images"
        )
    if body.get("mask"):
        raise InvalidRequest(
            "a mask cannot be passed on to Google's models: say in the prompt what is to change and "
            "what must stay as it is",
            param="mask",
        )


def _image_config(body: Json, model: Model, dropped: list[str]) -> Json:
    """`aspect_ratio` and `image_size` are Google's own words and win over `size` and `quality`."""
    quality, size = _text(body.get("quality"), "quality"), _text(body.get("size"), "size")
    config = picture_sizes.image_config(model, size=size, quality=quality, dropped=dropped)
    if size := _text(body.get("image_size"), "image_size"):
        config.pop("imageSize", None)
        config |= picture_sizes.image_config(model, size=size, quality="", dropped=dropped)
    if ratio := _text(body.get("aspect_ratio"), "aspect_ratio"):
        config["aspectRatio"] = ratio
    return config


def _text(value: Any, at: str) -> str:
    return "" if value is None else as_text(value, at)

"""What the endpoints that draw have in common: a prompt and perhaps pictures in, a `Call` out."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import media
from apiproxy.dialects.fields import as_choice, as_name, as_object, as_text, wrong
from apiproxy.wire.magic import mime_type_of_base64
from apiproxy.wire.types import Action, Call, Head, ImageDelivery, Json, Model
from gateway.lib.errors import InvalidRequest

MOST_PICTURES = 10
"""That one request may ask for; each is an upstream call of its own."""

_MOST_REFERENCES = 16


def call_of(
    head: Head,
    *,
    dialect: str,
    model: Model,
    requested: str,
    prompt: str,
    references: list[Json],
    image_config: Json,
    count: int,
    delivery: ImageDelivery,
    remote: list[Json],
    dropped: list[str],
) -> Call:
    config: Json = {"responseModalities": ["TEXT", "IMAGE"]}
    if image_config:
        config["imageConfig"] = image_config
    return Call(
        head=head,
        dialect=dialect,
        model=model,
        requested_model=requested,
        action=Action.GENERATE,
        stream=False,
        body={
            "contents": [{"role": "user", "parts": [*references, {"text": prompt}]}],
            "generationConfig": config,
        },
        remote_parts=remote,
        answers=count,
        image_delivery=delivery,
        pictures_only=True,
        dropped=dropped,
    )


def require_drawing(model: Model) -> None:
    if "image_output" not in model.capabilities:
        raise InvalidRequest(
            f"{model.id} does not draw: name an image model, such as gemini-2.5-flash-image",
            param="model",
        )


def delivery_of(value: Any, at: str, forms: dict[str, ImageDelivery]) -> ImageDelivery:
    """`forms`: the client's word -> how pictures travel; the first stands for an absent one."""
    return forms[as_choice(next(iter(forms)) if value is None else value, at, forms)]


def reference_pictures(value: Any, at: str, remote: list[Json]) -> list[Json]:
    """Pictures to draw from, one or a list: data URL, bare base64, web address, or an object that holds one of them."""
    if value is None:
        return []
    given = value if isinstance(value, list) else [value]
    if len(given) > _MOST_REFERENCES:
        raise wrong(at, value, f"at most {_MOST_REFERENCES} pictures")
    return [
        _reference(item, f"{at}[{n}]" if given is value else at, remote)
        for n, item in enumerate(given)
    ]


def _reference(item: Any, at: str, remote: list[Json]) -> Json:
    if isinstance(item, dict):
        if item.get("file_id") is not None:
            raise InvalidRequest(
                "uploaded files are not kept here: send the picture itself as a data: URL",
                param=f"{at}.file_id",
            )
        for key in ("image_url", "url", "b64_json"):
            if (value := item.get(key)) is not None:
                inner = (
                    as_object(value, f"{at}.{key}").get("url") if isinstance(value, dict) else value
                )
                return _reference(as_text(inner, f"{at}.{key}"), f"{at}.{key}", remote)
        raise wrong(f"{at}.image_url", None, "a data: URL or a web address")
    text = as_name(item, at)
    if ":" in text[:8]:
        return media.from_url(text, at, remote)
    mime_type = mime_type_of_base64(text)
    if not mime_type.startswith("image/"):
        raise wrong(at, text, "a picture in base64, a data: URL or a web address")
    return media.inline(mime_type, text, at)

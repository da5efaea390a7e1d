"""What a model's name and the site's settings change in a canonical request: once, after it was parsed. Pure.

Native requests come as their client wrote them, in either spelling of the nested fields and in any shape; what cannot
be read is left for the upstream to explain.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from apiproxy import truncation
from apiproxy.dialects import thinking
from apiproxy.dialects.fields import either
from apiproxy.dialects.picture_sizes import sizes_pictures
from apiproxy.wire.types import PLAIN, Action, Call, Json, Model
from quotas.features import SIZES, TOOLS

_PUBLIC_HARMS = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
)
# Only Code Assist takes these (reference 6.6, not verified); the Gemini API's provider leaves them out.
_CODE_ASSIST_HARMS = (
    "HARM_CATEGORY_IMAGE_HATE",
    "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
    "HARM_CATEGORY_IMAGE_HARASSMENT",
    "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_JAILBREAK",
)
_FEWER_HARMS = "gemini-2.5-flash-lite"


class Site(Struct, frozen=True):
    """`safety_default`: a threshold for requests that bring none, "" to leave it to Google. `compatibility`: system
    instructions go as text of the user. `attempts`: how many an answer that must not be cut may take, the first
    included."""

    safety_default: str = ""
    compatibility: bool = False
    attempts: int = 1


def shape(call: Call, site: Site) -> None:
    """Changes `call.body` in place; what could not be done is said in `call.dropped`."""
    if call.action is not Action.GENERATE:
        return
    if call.model.variant != PLAIN:
        _apply_variant(call, site)
    if site.safety_default and not call.body.get("safetySettings") and not call.model.only_speaks:
        call.body["safetySettings"] = safety_settings(call.model, site.safety_default)
    if site.compatibility:
        _speak_as_user(call.body)


def features(call: Call) -> tuple[str, ...]:
    """What of this call may have a price of its own (quotas/features.py), as it is really in effect. Tools and the size of
    pictures count whoever asked for them, the name or the body; a measure of thinking counts where the name says it.
    """
    found: list[str] = []
    variant = call.model.variant
    if variant != PLAIN:
        if call.attempts > 1:
            found.append("anti_truncation")
        if variant.fake_stream and call.stream:
            found.append("fake_stream")
        if variant.thinking and call.model.thinking.control != "none":
            found.append(f"thinking_{variant.thinking}")
    if "tools" in call.body:
        found += _tools(call.body["tools"])
    if (size := _picture_size(call.body)) and size in SIZES:
        found.append(size)
    return tuple(found)


def features_of_name(model: Model) -> tuple[str, ...]:
    """Those that a model's name asks for by itself, whatever the request."""
    variant = model.variant
    asked = (
        ("anti_truncation", variant.anti_truncation),
        ("fake_stream", variant.fake_stream),
        (f"thinking_{variant.thinking}", variant.thinking),
        ("search", variant.search),
        (f"image_{variant.image_size.lower()}", variant.image_size),
    )
    return tuple(name for name, wanted in asked if wanted)


def _tools(tools: Any) -> list[str]:
    """Each once, whatever its spelling."""
    if not isinstance(tools, list):
        return []
    named = (
        TOOLS[name] for tool in tools if isinstance(tool, dict) for name in tool if name in TOOLS
    )
    return list(dict.fromkeys(named))


def safety_settings(model: Model, threshold: str) -> list[Json]:
    harms: tuple[str, ...] = _PUBLIC_HARMS
    if "code_assist" in model.providers and model.id != _FEWER_HARMS:
        harms += _CODE_ASSIST_HARMS
    return [{"category": harm, "threshold": threshold} for harm in harms]


def _apply_variant(call: Call, site: Site) -> None:
    variant = call.model.variant
    if variant.thinking:
        _set_thinking(call)
    if variant.search:
        _add_search(call)
    if variant.image_size:
        _set_picture_size(call)
    if variant.anti_truncation and call.stream:
        obstacle = truncation.obstacle(call)
        if obstacle:
            call.dropped.append(f"anti-truncation: not {obstacle}")
        else:
            call.attempts = site.attempts


def _set_thinking(call: Call) -> None:
    """The name wins over whatever the body asks for."""
    config = thinking.from_name(call.model)
    if config is None:
        word = call.model.variant.thinking
        call.dropped.append(f"model name, {word} thinking: {call.model.id} does not think")
    else:
        _generation(call.body)["thinkingConfig"] = config


def _add_search(call: Call) -> None:
    body, model = call.body, call.model
    tools = body.get("tools")
    if _searches(tools):
        return
    if obstacle := _search_obstacle(body, model):
        call.dropped.append(f"model name, search: {obstacle}")
    elif tools is None or isinstance(tools, list):
        body["tools"] = [*(tools or ()), {"googleSearch": {}}]


def _search_obstacle(body: Json, model: Model) -> str:
    """The order of `tools.settle_conflicts`: functions and JSON mode come before built-in tools."""
    if "search" not in model.capabilities:
        return f"{model.id} cannot search"
    if body.get("cachedContent"):
        return "no tool goes with cached content"
    tools = body.get("tools")
    if isinstance(tools, list) and any(
        isinstance(tool, dict) and either(tool, "functionDeclarations", "function_declarations")
        for tool in tools
    ):
        return f"{model.id} does not combine it with functions"
    if truncation.wants_json(body) and not model.tools_with_json:
        return f"{model.id} does not combine it with JSON mode"
    return ""


def _searches(tools: Any) -> bool:
    return isinstance(tools, list) and any(
        isinstance(tool, dict) and ("googleSearch" in tool or "google_search" in tool)
        for tool in tools
    )


def _set_picture_size(call: Call) -> None:
    size = call.model.variant.image_size
    if not sizes_pictures(call.model):
        call.dropped.append(f"model name, {size} pictures: {call.model.id} has one size")
        return
    config = _generation(call.body)
    image = config.get("imageConfig")
    config["imageConfig"] = {**(image if isinstance(image, dict) else {}), "imageSize": size}


def _picture_size(body: Json) -> str:
    config = body.get("generationConfig")
    if not isinstance(config, dict):
        return ""
    image = config.get("imageConfig")
    size = image.get("imageSize") if isinstance(image, dict) else None
    if not isinstance(size, str):
        return ""
    # "512px" and "512" are the same.
    return f"image_{size.lower().removesuffix('px')}"


def _generation(body: Json) -> Json:
    """The `generationConfig` to write into; a dialect has looked at it, so it is an object or null."""
    config: Json | None = body.get("generationConfig")
    if config is None:
        config = body["generationConfig"] = {}
    return config


def _speak_as_user(body: Json) -> None:
    """The system instruction becomes the beginning of what the user says: some upstreams answer nothing otherwise."""
    system, contents = body.get("systemInstruction"), body.get("contents")
    parts = system.get("parts") if isinstance(system, dict) else None
    if isinstance(parts, list) and isinstance(contents, list) and contents:
        del body["systemInstruction"]
        body["contents"] = truncation.led_by(parts, contents)

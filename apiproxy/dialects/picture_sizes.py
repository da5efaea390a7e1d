"""Sizes as OpenAI's clients write them -> `imageConfig` (reference 3.5)."""

from __future__ import annotations

import math
import re

from apiproxy.wire.types import Json, Model
from gateway.lib.errors import InvalidRequest

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_LONG_RATIOS = ("1:4", "4:1", "1:8", "8:1")
_WORDS = {"square": "1:1", "landscape": "3:2", "portrait": "2:3"}
# What every model draws unasked, so it is not sent.
_USUAL = "1K"
_SMALL = "512"
_SIZES = (_SMALL, _USUAL, "2K", "4K")
_SIZE_OF_QUALITY = {
    "low": "1K",
    "medium": "2K",
    "high": "4K",
    "hd": "2K",
    "xhigh": "4K",
    "max": "4K",
}
_LEFT_TO_THE_MODEL = ("auto", "standard")

_PIXELS = re.compile(r"([1-9]\d{1,4})\s*[x×*]\s*([1-9]\d{1,4})", re.ASCII)
_RATIO = re.compile(r"([1-9]\d?)\s*[:/]\s*([1-9]\d?)", re.ASCII)
# Longest side in pixels up to which a size is meant: 1K stands for OpenAI's own sizes too, such as 1792x1024.
_UP_TO = ((1792, "1K"), (3072, "2K"))


def sizes_pictures(model: Model) -> bool:
    """Whether `imageSize` may be sent: 2.5 Flash Image has no control of it (reference 3.5)."""
    return "image_output" in model.capabilities and not model.id.startswith("gemini-2.")


def image_config(model: Model, *, size: str, quality: str, dropped: list[str]) -> Json:
    """`size`: pixels, a ratio, a word or 1K, 2K, 4K; "" or "auto" leaves it to the model. It decides before `quality`.

    A ratio that a model does not draw becomes the nearest one. Raises InvalidRequest.
    """
    ratio, resolution = _read(size)
    asked_by = "size"
    if not resolution:
        asked_by, resolution = "quality", _resolution_of(quality)
    config: Json = {}
    if ratio:
        config["aspectRatio"] = nearest_ratio(model, ratio)
    if resolution in ("", _USUAL):
        return config
    if sizes_pictures(model) and (resolution != _SMALL or _draws_more(model)):
        config["imageSize"] = resolution
    else:
        dropped.append(f"{asked_by}: {model.id} draws no {resolution} pictures")
    return config


def nearest_ratio(model: Model, ratio: float) -> str:
    """`ratio`: width by height."""
    known_ratios = _RATIOS + (_LONG_RATIOS if _draws_more(model) else ())
    return min(known_ratios, key=lambda known: abs(math.log(_value(known) / ratio)))


def _read(size: str) -> tuple[float, str]:
    """(width by height or 0, one of _SIZES or "")."""
    text = size.strip()
    word = text.lower()
    if word in ("", "auto"):
        return 0.0, ""
    if word.upper() in _SIZES:
        return 0.0, word.upper()
    if pixels := _PIXELS.fullmatch(word):
        width, height = int(pixels[1]), int(pixels[2])
        return width / height, _resolution(max(width, height))
    text = _WORDS.get(word, text)
    if _RATIO.fullmatch(text):
        return _value(text), ""
    raise InvalidRequest(
        "size must be auto, WIDTHxHEIGHT in pixels, a ratio such as 16:9, or 1K, 2K or 4K",
        param="size",
    )


def _resolution_of(quality: str) -> str:
    if not quality or quality in _LEFT_TO_THE_MODEL:
        return ""
    if quality not in _SIZE_OF_QUALITY:
        known = ", ".join((*_SIZE_OF_QUALITY, *_LEFT_TO_THE_MODEL))
        raise InvalidRequest(f"quality must be one of {known}", param="quality")
    return _SIZE_OF_QUALITY[quality]


def _draws_more(model: Model) -> bool:
    """3.1 Flash Image has a smaller size and longer shapes than the others."""
    return model.id.startswith("gemini-3.1-flash-image")


def _resolution(longest: int) -> str:
    return next((name for limit, name in _UP_TO if longest <= limit), "4K")


def _value(ratio: str) -> float:
    width, height = re.split("[:/]", ratio)
    return int(width) / int(height)

"""What a model's name may say beside the model (reference 6.1). Pure.

    [fake-stream/ | anti-truncation/ …] model [-high … | -search | -2k … | (8192) …]

Prefixes and suffixes combine in any order, each kind once. The catalogue cuts them off one at a time and looks what is
left up first, so that a name that exists is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from msgspec.structs import asdict, replace

from apiproxy.dialects.picture_sizes import sizes_pictures
from apiproxy.wire.types import Model, Variant

Change = dict[str, Any]

_FAKE: Change = {"fake_stream": True}
_UNCUT: Change = {"anti_truncation": True}

_PREFIXES: dict[str, Change] = {
    "假流式/": _FAKE,
    "fake-stream/": _FAKE,
    "流式抗截断/": _UNCUT,
    "抗截断/": _UNCUT,
    "anti-truncation/": _UNCUT,
    "anti-trunc/": _UNCUT,
}
_THINKING = ("maxthinking", "nothinking", "max", "high", "medium", "low", "minimal")
_SUFFIXES: dict[str, Change] = {
    "-假流式": _FAKE,
    "-流式抗截断": _UNCUT,
    "-search": {"search": True},
    "-2k": {"image_size": "2K"},
    "-4k": {"image_size": "4K"},
    # Says nothing by itself: the models it was made for think anyway.
    "-think": {},
    **{f"-{word}": {"thinking": word} for word in _THINKING},
}
_BRACKET = re.compile(r"\((\w+|-1)\)$", re.ASCII)
_BRACKET_WORDS = {
    **{word: word for word in ("max", "high", "medium", "low", "minimal", "auto")},
    "-1": "auto",
    "xhigh": "max",
    "none": "nothinking",
    "0": "nothinking",
}
_MOST_DIGITS = 6

_LISTED_PREFIXES = ("假流式/", "流式抗截断/")
_LISTED_THINKING = {
    "budget": ("max", "high", "medium", "low", "minimal"),
    "level": ("high", "medium", "low", "minimal"),
}


def without_prefix(name: str, variant: Variant) -> tuple[str, Variant] | None:
    """The name and the variant after one cut at the front; None where there is nothing (more) to cut."""
    for prefix, change in _PREFIXES.items():
        if name.startswith(prefix):
            return _changed(name[len(prefix) :], variant, change)
    return None


def without_suffix(name: str, variant: Variant) -> tuple[str, Variant] | None:
    """The same at the end."""
    lowered = name.lower()
    for suffix, change in _SUFFIXES.items():
        if lowered.endswith(suffix):
            return _changed(name[: -len(suffix)], variant, change)
    if (bracket := _BRACKET.search(lowered)) and (change := _bracket(bracket[1])):
        return _changed(name[: bracket.start()], variant, change)
    return None


def _bracket(word: str) -> Change:
    if word in _BRACKET_WORDS:
        return {"thinking": _BRACKET_WORDS[word]}
    if word.isdigit() and len(word) <= _MOST_DIGITS:
        return {"thinking": "budget", "thinking_budget": int(word)}
    return {}


def _changed(rest: str, variant: Variant, change: Change) -> tuple[str, Variant] | None:
    """None for what was said already: a second thinking suffix belongs to the name."""
    said = asdict(variant)
    if not rest or any(said[name] for name in change):
        return None
    return rest, replace(variant, **change)


def both(first: Variant, second: Variant) -> Variant:
    """Where they contradict each other the first one counts."""
    said = {name: value for name, value in asdict(first).items() if value}
    return replace(second, **said)


def fits(model: Model, variant: Variant) -> bool:
    """Whether a name of this model may say that: only models that draw have sizes."""
    return not variant.image_size or "image_output" in model.capabilities


def names(model: Model) -> Iterator[str]:
    """What lists show beside the model's own name (reference 6.1)."""
    if "chat" not in model.capabilities or model.only_speaks:
        return
    prefixes = _LISTED_PREFIXES[:1] if "image_output" in model.capabilities else _LISTED_PREFIXES
    for prefix, *words in product(
        ("", *prefixes), _thinking_of(model), _search_of(model), _sizes_of(model)
    ):
        name = prefix + "-".join(filter(None, (model.id, *words)))
        if name != model.id:
            yield name


def _thinking_of(model: Model) -> tuple[str, ...]:
    words = _LISTED_THINKING.get(model.thinking.control, ())
    if model.thinking.control == "level":
        levels = {level.lower() for level in model.thinking.levels}
        words = tuple(word for word in words if word in levels)
    return ("", *words)


def _search_of(model: Model) -> tuple[str, ...]:
    return ("", "search") if "search" in model.capabilities else ("",)


def _sizes_of(model: Model) -> tuple[str, ...]:
    return ("", "2k", "4k") if sizes_pictures(model) else ("",)

"""How much a model shall think: an effort word or a native config -> `thinkingConfig` this model accepts (3.3, 5.4)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects.fields import as_choice, as_flag, as_integer, either
from apiproxy.wire.types import Json, Model, Thinking
from gateway.lib.errors import InvalidRequest

_DYNAMIC = -1
_BUDGETS = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 128_000,
    "auto": _DYNAMIC,
}
_LEVELS = ("minimal", "low", "medium", "high")
_BUDGET_OF_LEVEL = (("minimal", 512), ("low", 1024), ("medium", 8192))
_MAX_BUDGET = 2**31 - 1
# The words of model names. More than a model takes is cut to what it takes.
_BUDGET_OF_NAME = {"high": 16_000, "medium": 8_192, "low": 1_024, "auto": _DYNAMIC}
_MOST = ("max", "maxthinking")


def default_config(thinking: Thinking) -> Json | None:
    """Nothing was asked: the model's own measure, with summaries."""
    if thinking.control == "none":
        return None
    return {"includeThoughts": True}


def from_effort(thinking: Thinking, effort: Any, at: str) -> Json | None:
    """None: this model takes no `thinkingConfig`. Raises InvalidRequest for an unknown word."""
    word = as_choice(effort, at, _BUDGETS)
    if thinking.control == "budget":
        return _budget_config(thinking, _BUDGETS[word])
    if thinking.control == "level":
        return _level_config(thinking, word)
    return None


def from_budget(thinking: Thinking, budget_tokens: int) -> Json | None:
    """A budget for a model of levels becomes the nearest level above it."""
    if thinking.control == "budget":
        return _budget_config(thinking, budget_tokens)
    if thinking.control == "level":
        return _level_config(thinking, _effort_of(budget_tokens))
    return None


def from_native(thinking: Thinking, config: Json, at: str) -> Json | None:
    """A client's own `thinkingConfig`, in either spelling."""
    budget = either(config, "thinkingBudget", "thinking_budget")
    level = either(config, "thinkingLevel", "thinking_level")
    include = either(config, "includeThoughts", "include_thoughts")
    if budget is not None and level is not None:
        raise InvalidRequest(f"{at} takes a budget or a level, not both", param=at)
    if budget is not None:
        chosen = from_budget(
            thinking, as_integer(budget, f"{at}.thinking_budget", _DYNAMIC, _MAX_BUDGET)
        )
    elif level is not None:
        word = level.lower() if isinstance(level, str) else level
        chosen = from_effort(thinking, as_choice(word, f"{at}.thinking_level", _LEVELS), at)
    else:
        chosen = default_config(thinking)
    if chosen is not None and include is not None:
        wanted = as_flag(include, f"{at}.include_thoughts")
        chosen["includeThoughts"] = wanted and chosen["includeThoughts"]
    return chosen


def from_name(model: Model) -> Json | None:
    """What the model's name asks for (reference 6.3); None where it asks for nothing or the model does not think."""
    able, word = model.thinking, model.variant.thinking
    if not word:
        return None
    if word == "budget":
        return from_budget(able, model.variant.thinking_budget)
    if word == "nothinking":
        return from_budget(able, 0)
    if able.control == "level":
        return from_effort(able, "max" if word in _MOST else word, "model")
    if word == "minimal":
        return from_budget(able, 0 if able.can_disable else able.min_budget)
    return from_budget(able, _MAX_BUDGET if word in _MOST else _BUDGET_OF_NAME[word])


def most_tokens(thinking: Thinking, config: Json | None) -> int:
    """How many tokens the model may think under this config; they count against its output limit (reference 3.3)."""
    if thinking.control == "none":
        return 0
    config = config or {}
    budget: int = config.get("thinkingBudget", _DYNAMIC)
    if budget != _DYNAMIC:
        return budget
    return _BUDGETS[config.get("thinkingLevel", "high")]


def _budget_config(thinking: Thinking, budget_tokens: int) -> Json:
    if budget_tokens == _DYNAMIC:
        return {"includeThoughts": True, "thinkingBudget": _DYNAMIC}
    if budget_tokens == 0:
        # Who wants no thinking wants no summaries either, even of the least a model does.
        least = 0 if thinking.can_disable else thinking.min_budget
        return {"includeThoughts": False, "thinkingBudget": least}
    clamped = min(max(budget_tokens, thinking.min_budget), thinking.max_budget)
    return {"includeThoughts": True, "thinkingBudget": clamped}


def _level_config(thinking: Thinking, effort: str) -> Json:
    if effort == "auto" or not thinking.levels:
        return {"includeThoughts": True}
    level = _nearest_level(thinking.levels, effort)
    return {"includeThoughts": effort != "none", "thinkingLevel": level}


def _nearest_level(offered: tuple[str, ...], effort: str) -> str:
    """The level itself, else the next one above, else the highest there is."""
    ranked = sorted((level.lower() for level in offered), key=_LEVELS.index)
    wanted = _rank(effort)
    return next((level for level in ranked if _LEVELS.index(level) >= wanted), ranked[-1])


def _rank(effort: str) -> int:
    if effort == "none":
        return 0
    return _LEVELS.index(effort) if effort in _LEVELS else len(_LEVELS)


def _effort_of(budget_tokens: int) -> str:
    if budget_tokens == _DYNAMIC:
        return "auto"
    if budget_tokens == 0:
        return "none"
    return next((word for word, most in _BUDGET_OF_LEVEL if budget_tokens <= most), "high")

"""The catalogue in the shapes of OpenAI (reference 4.3) and Google (3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from apiproxy.dialects.fields import wrong
from apiproxy.wire.types import Json, Model

_DEFAULT_PAGE = 50
_LARGEST_PAGE = 1000


def openai_models(models: Iterable[Model]) -> Json:
    return {"object": "list", "data": [openai_model(model) for model in models]}


def openai_model(model: Model) -> Json:
    """The fields after `owned_by` are not OpenAI's; some clients set themselves up by them."""
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": "google" if model.providers != ("sandbox",) else "sandbox",
        "display_name": model.display_name or model.id,
        "context_length": model.input_limit_tokens,
        "max_output_tokens": model.output_limit_tokens,
        "capabilities": sorted(model.capabilities),
    }


def gemini_models(models: Iterable[Model], page_size: str = "", page_token: str = "") -> Json:
    """`page_size` and `page_token` as they stand in the query, "" for absent.

    A token is the name of the first model of its page. Raises InvalidRequest for one that was never given out.
    """
    entries = [gemini_model(model) for model in models]
    start = _start_of(entries, page_token)
    end = start + _size(page_size)
    page: Json = {"models": entries[start:end]}
    if end < len(entries):
        page["nextPageToken"] = entries[end]["name"]
    return page


def _start_of(entries: list[Json], token: str) -> int:
    if not token:
        return 0
    for position, entry in enumerate(entries):
        if entry["name"] == token:
            return position
    raise wrong("pageToken", token, "a token from an earlier page")


def _size(text: str) -> int:
    if not text:
        return _DEFAULT_PAGE
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise wrong("pageSize", text, f"a whole number from 0 to {_LARGEST_PAGE}")
    # Google takes zero for "as you like" and cuts what is too large.
    return min(int(text), _LARGEST_PAGE) or _DEFAULT_PAGE


def gemini_model(model: Model) -> Json:
    entry: Json = {
        "name": f"models/{model.id}",
        "baseModelId": model.id,
        "version": "001",
        "displayName": model.display_name or model.id,
        "inputTokenLimit": model.input_limit_tokens,
        "outputTokenLimit": model.output_limit_tokens,
        "supportedGenerationMethods": _methods(model),
    }
    if model.thinking.control != "none":
        entry["thinking"] = True
    return entry


def _methods(model: Model) -> list[str]:
    if model.capabilities & {"chat", "image_output", "audio"}:
        return ["generateContent", "countTokens"]
    return []

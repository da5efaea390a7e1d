"""The catalogue in the shapes of OpenAI and Anthropic (reference 4.3) and Google (3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from apiproxy.dialects.fields import wrong
from apiproxy.wire.types import Json, Model

_DEFAULT_PAGE = 50
_ANTHROPIC_PAGE = 20
_LARGEST_PAGE = 1000


def openai_models(models: Iterable[Model]) -> Json:
    return {"object": "list", "data": [openai_model(model) for model in models]}


def openai_model(model: Model) -> Json:
    """The fields after `owned_by` are not OpenAI's; some clients set themselves up by them."""
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "google" if model.providers != ("sandbox",) else "sandbox",
        "display_name": model.title,
        "context_length": model.input_limit_tokens,
        "max_output_tokens": model.output_limit_tokens,
        "capabilities": sorted(model.capabilities),
    }


def anthropic_models(models: Iterable[Model], query: Mapping[str, str]) -> Json:
    """A page of those that can be talked to. `query` may hold `limit`, and `after_id` or `before_id`.

    Raises InvalidRequest for an id that is not in the list.
    """
    entries = [anthropic_model(model) for model in models if "chat" in model.capabilities]
    size = _size(query.get("limit", ""), "limit", _ANTHROPIC_PAGE)
    if before := query.get("before_id"):
        end = _position(entries, "id", before, "before_id")
        page, more = entries[max(end - size, 0) : end], end > size
    else:
        after = query.get("after_id")
        start = _position(entries, "id", after, "after_id") + 1 if after else 0
        page, more = entries[start : start + size], start + size < len(entries)
    return {
        "data": page,
        "has_more": more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def anthropic_model(model: Model) -> Json:
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.title,
        "created_at": f"{datetime.fromtimestamp(model.created, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "lifecycle": "active",
        "max_input_tokens": model.input_limit_tokens,
        "max_tokens": model.output_limit_tokens,
    }


def gemini_models(models: Iterable[Model], page_size: str = "", page_token: str = "") -> Json:
    """`page_size` and `page_token` as they stand in the query, "" for absent.

    A token is the name of the first model of its page. Raises InvalidRequest for one that was never given out.
    """
    entries = [gemini_model(model) for model in models]
    start = _position(entries, "name", page_token, "pageToken") if page_token else 0
    end = start + _size(page_size, "pageSize", _DEFAULT_PAGE)
    page: Json = {"models": entries[start:end]}
    if end < len(entries):
        page["nextPageToken"] = entries[end]["name"]
    return page


def _position(entries: list[Json], key: str, token: str, at: str) -> int:
    for position, entry in enumerate(entries):
        if entry[key] == token:
            return position
    raise wrong(at, token, "from an earlier page")


def _size(text: str, at: str, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise wrong(at, text, f"a whole number from 0 to {_LARGEST_PAGE}")
    # Google takes zero for "as you like" and cuts what is too large.
    return min(int(text), _LARGEST_PAGE) or default


def gemini_model(model: Model) -> Json:
    entry: Json = {
        "name": f"models/{model.name}",
        "baseModelId": model.id,
        "version": "001",
        "displayName": model.title,
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
    if "embedding" in model.capabilities:
        return ["embedContent", "batchEmbedContents", "countTokens"]
    return []

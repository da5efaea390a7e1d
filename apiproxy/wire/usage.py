"""What a canonical reply says about tokens, content and its end. Runs on every chunk.

An upstream may leave anything out or send it in another shape; what cannot be read counts as absent.
"""

from __future__ import annotations

from typing import Any

from apiproxy.wire.types import Json, Usage

_CONTENT_FIELDS = frozenset(
    {"functionCall", "inlineData", "fileData", "executableCode", "codeExecutionResult"}
)


# What the request log's columns hold; no answer comes near it.
_MOST_TOKENS = 2**31 - 1


def usage_of(reply: Json) -> Usage | None:
    """None: the reply carries no counts. In streams they grow, so the last one seen counts (reference 3.4)."""
    counts = reply.get("usageMetadata")
    if not isinstance(counts, dict):
        return None
    return Usage(
        input_tokens=_count(counts, "promptTokenCount") + _count(counts, "toolUsePromptTokenCount"),
        output_tokens=_count(counts, "candidatesTokenCount"),
        cached_tokens=_count(counts, "cachedContentTokenCount"),
        thinking_tokens=_count(counts, "thoughtsTokenCount"),
    )


def _count(counts: Json, key: str) -> int:
    value = counts.get(key)
    return min(value, _MOST_TOKENS) if isinstance(value, int) and value > 0 else 0


def candidates(reply: Json) -> list[Json]:
    return objects(reply.get("candidates"))


def parts(candidate: Json) -> list[Json]:
    content = candidate.get("content")
    return objects(content.get("parts")) if isinstance(content, dict) else []


def objects(value: Any) -> list[Json]:
    """The list itself where all is well, which costs nothing; else what of it can be read."""
    if not isinstance(value, list):
        return []
    for item in value:
        if not isinstance(item, dict):
            return [item for item in value if isinstance(item, dict)]
    return value


def blocked(reply: Json) -> str:
    """The reason why the prompt was blocked, or ""."""
    feedback = reply.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) else ""


def delivers(reply: Json) -> bool:
    """Whether a client would count it as an answer: visible text, a call, media, code or vectors; thoughts are none."""
    for candidate in candidates(reply):
        for part in parts(candidate):
            if part.get("thought"):
                continue
            if part.get("text") or not _CONTENT_FIELDS.isdisjoint(part):
                return True
    return "embedding" in reply or "embeddings" in reply


def is_picture(part: Json) -> bool:
    """Inline or linked; the sketches among the thoughts are none."""
    media = part.get("inlineData") or part.get("fileData")
    if not isinstance(media, dict) or part.get("thought"):
        return False
    return str(media.get("mimeType", "")).startswith("image/")


def draws(reply: Json) -> bool:
    return any(is_picture(part) for candidate in candidates(reply) for part in parts(candidate))


def finished(reply: Json) -> bool:
    """Whether it says that nothing comes after it."""
    for candidate in candidates(reply):
        if candidate.get("finishReason"):
            return True
    return "promptFeedback" in reply and bool(blocked(reply))

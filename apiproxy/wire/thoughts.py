"""Leaving the model's thoughts out of what a client gets."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def without_thoughts(reply: Json) -> Json:
    """The reply less its thought parts; the same object when it has none."""
    candidates = reply.get("candidates")
    if not isinstance(candidates, list):
        return reply
    kept = [_candidate_without(candidate) for candidate in candidates]
    if all(new is old for new, old in zip(kept, candidates, strict=True)):
        return reply
    return {**reply, "candidates": kept}


def _candidate_without(candidate: Any) -> Any:
    content = candidate.get("content") if isinstance(candidate, dict) else None
    if not isinstance(content, dict) or not isinstance(parts := content.get("parts"), list):
        return candidate
    spoken = [part for part in parts if not (isinstance(part, dict) and part.get("thought"))]
    if len(spoken) == len(parts):
        return candidate
    return {**candidate, "content": {**content, "parts": spoken}}

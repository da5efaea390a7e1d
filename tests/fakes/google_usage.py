"""Token counts: made up, but the same for the same content and consistent with each other."""

import json
from typing import Any

Json = dict[str, Any]

IMAGE_TOKENS = 258


def count_text(text: str) -> int:
    return -(-len(text) // 4)


def count_part(part: Json) -> int:
    if "text" in part:
        return count_text(part["text"])
    if "inlineData" in part or "fileData" in part:
        return IMAGE_TOKENS
    return count_text(json.dumps(part, ensure_ascii=False))


def count_contents(contents: list[Json]) -> int:
    return sum(count_part(part) for content in contents for part in content.get("parts", []))


def count_request(body: Json) -> int:
    """Prompt tokens of a parsed request: contents, system instruction and tools."""
    total = count_contents(body.get("contents", []))
    total += count_contents([body["systemInstruction"]] if "systemInstruction" in body else [])
    return total + (count_text(json.dumps(body["tools"])) if body.get("tools") else 0)


def usage(prompt: int, chunks: list[Json], options: Json, *, code_assist: bool) -> Json:
    """usageMetadata after ``chunks``; fields that would be 0 are absent, as with Google."""
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
    ]
    thoughts = sum(count_part(part) for part in parts if part.get("thought"))
    thoughts = thoughts or options.get("thoughts_tokens", 0)
    visible = sum(count_part(part) for part in parts if not part.get("thought"))
    counted: Json = {"promptTokenCount": prompt}
    if options.get("cached_tokens"):
        counted["cachedContentTokenCount"] = options["cached_tokens"]
    if visible:
        counted["candidatesTokenCount"] = visible
    if thoughts:
        counted["thoughtsTokenCount"] = thoughts
    counted["totalTokenCount"] = prompt + visible + thoughts
    counted["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    if code_assist:
        counted["trafficType"] = "PROVISIONED_THROUGHPUT"
    return counted | options.get("usage_metadata", {})

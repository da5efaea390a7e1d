"""What the client asks and what the fake upstream answers. Sizes are those of everyday chats, not of the smallest ones.

The upstream finds the behaviour in the model's name, so one address plays all of them.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

WHOLE, PACED, BURST, SILENT = (
    "gemini-bench",
    "gemini-bench-paced",
    "gemini-bench-burst",
    "gemini-bench-silent",
)

PACE_S = 0.020
BURST_CHUNKS = 2000

_SENTENCE = (
    "The spring rises below the old mill and feeds three small ponds before it meets the river. "
)
_USAGE = {
    "promptTokenCount": 212,
    "candidatesTokenCount": 131,
    "totalTokenCount": 343,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 212}],
}
_ABOUT = {"modelVersion": "gemini-bench", "responseId": "mDyFaJ2kLpG4xN8PqZ2n0Ak"}


def openai_body(model: str, *, stream: bool, large: bool = False) -> bytes:
    """About 1 kB, or 33 kB when large."""
    messages = [{"role": "system", "content": "You answer in short sentences. " + _SENTENCE}]
    messages += [{"role": role, "content": text} for role, text in _turns(large)]
    return _dump({"model": model, "messages": messages, "stream": stream, "temperature": 0.7})


def gemini_body(*, large: bool = False) -> bytes:
    contents = [
        {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
        for role, text in _turns(large)
    ]
    system = {"parts": [{"text": "You answer in short sentences. " + _SENTENCE}]}
    config = {"temperature": 0.7}
    return _dump({"contents": contents, "systemInstruction": system, "generationConfig": config})


def _turns(large: bool) -> list[tuple[str, str]]:
    turns, sentences = (39, 9) if large else (3, 3)
    return [
        ("assistant" if number % 2 else "user", f"{number}. " + _SENTENCE * sentences)
        for number in range(turns)
    ]


def whole_reply() -> bytes:
    """About 1.1 kB, as `generateContent` answers."""
    return _dump(
        {"candidates": [_candidate(_SENTENCE * 7, end=True)], "usageMetadata": _USAGE} | _ABOUT
    )


def chunk(*, end: bool = False) -> bytes:
    """One event of a stream, about 360 bytes."""
    reply = {"candidates": [_candidate(_SENTENCE[:30], end=end)], "usageMetadata": _USAGE} | _ABOUT
    return b"data: " + _dump(reply) + b"\r\n\r\n"


def _candidate(text: str, *, end: bool) -> Json:
    content = {"parts": [{"text": text}], "role": "model"}
    return {"content": content, "index": 0} | ({"finishReason": "STOP"} if end else {})


def _dump(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

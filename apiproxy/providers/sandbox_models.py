"""The models of the sandbox that answer: prompt -> canonical replies, each with the silence before it."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from apiproxy.providers.sandbox_png import png
from apiproxy.providers.sandbox_prompt import BYTES_A_TOKEN, Prompt, count_tokens, tokens_of
from apiproxy.providers.sandbox_schema import example
from apiproxy.wire import codec

Json = dict[str, Any]

Turn = Iterator[tuple[float, Json]]
"""(seconds of silence before it, reply)."""

ECHO_PAUSE_S = 0.02
MAX_ECHO_PIECES = 100
MAX_TOKENS = 65_536
THINKING_S = 2.0
SLOW_PAUSE_S = 0.2
PICTURE_PIXELS = 96
PICTURE_TOKENS = 258

_NOTHING_SAID = "Say something, and the sandbox says it back."
_NO_TOOLS = "Declare a function, and the sandbox calls it."
_SLOW_TEXT = "One word at a time, with a pause before each, so that long streams, keep-alives and cancelling can be watched."
_SLOW_THOUGHT = "Nothing has to be found out here, so this thought only takes its time."
_WORD = re.compile(r"\S+\s*|\s+")
_RATIO = re.compile(r"([1-9]\d?):([1-9]\d?)")


def reply(
    prompt: Prompt,
    parts: list[Json],
    *,
    finish: str = "",
    written_tokens: int = 0,
    thought_tokens: int = 0,
) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": usage(prompt, written_tokens, thought_tokens),
        "modelVersion": prompt.model,
        "responseId": f"sandbox-{prompt.fingerprint:08x}",
    }


def usage(prompt: Prompt, written_tokens: int = 0, thought_tokens: int = 0) -> Json:
    counts = {
        "promptTokenCount": prompt.input_tokens,
        "candidatesTokenCount": written_tokens,
        "totalTokenCount": prompt.input_tokens + written_tokens + thought_tokens,
    }
    return {**counts, "thoughtsTokenCount": thought_tokens} if thought_tokens else counts


def echo(prompt: Prompt) -> Turn:
    return speak(prompt, echo_text(prompt), ECHO_PAUSE_S)


def echo_text(prompt: Prompt) -> str:
    """JSON mode gives an object that fits the schema; a system instruction is repeated in brackets first."""
    said = prompt.text or _NOTHING_SAID
    if prompt.mime_type == "text/x.enum":
        return str(example(prompt.schema, said))
    if prompt.mime_type == "application/json":
        value = {"echo": said} if prompt.schema is None else example(prompt.schema, said)
        return codec.dumps(value).decode()
    return f"[{prompt.system}] {said}" if prompt.system else said


def speak(prompt: Prompt, text: str, pause_s: float, *, thought_tokens: int = 0) -> Turn:
    """The text word by word; long ones in larger pieces, so that none takes longer than a hundred pauses."""
    text, finish = _cut(prompt, text)
    pieces = _pieces(text)
    said_bytes = 0
    for number, piece in enumerate(pieces, start=1):
        said_bytes += len(piece.encode("utf-8", "replace"))
        yield (
            pause_s if number > 1 else 0.0,
            reply(
                prompt,
                [{"text": piece}],
                finish=finish if number == len(pieces) else "",
                written_tokens=tokens_of(said_bytes),
                thought_tokens=thought_tokens,
            ),
        )


def _pieces(text: str) -> list[str]:
    words = _WORD.findall(text) or [""]
    size = -(-len(words) // MAX_ECHO_PIECES)
    return ["".join(words[at : at + size]) for at in range(0, len(words), size)]


def _cut(prompt: Prompt, text: str) -> tuple[str, str]:
    """As a model would have stopped: at a stop sequence, or at the limit of tokens."""
    ends = [at for stop in prompt.stops if (at := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    limit_bytes = BYTES_A_TOKEN * min(prompt.max_tokens or MAX_TOKENS, MAX_TOKENS)
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return text, "STOP"
    return data[:limit_bytes].decode("utf-8", "ignore"), "MAX_TOKENS"


def slow(prompt: Prompt) -> Turn:
    thought_tokens = count_tokens(_SLOW_THOUGHT)
    thought = {"text": _SLOW_THOUGHT, "thought": True}
    yield THINKING_S, reply(prompt, [thought], thought_tokens=thought_tokens)
    for pause_s, one in speak(prompt, _SLOW_TEXT, SLOW_PAUSE_S, thought_tokens=thought_tokens):
        yield pause_s or SLOW_PAUSE_S, one


def tools(prompt: Prompt) -> Turn:
    """A call, and then, in an event of its own, the end: as newer models do it (reference 3.4)."""
    if prompt.tool_answers:
        quoted = (
            f"{name} answered {codec.dumps(response).decode()}"
            for name, response in prompt.tool_answers
        )
        yield from speak(prompt, "The function " + ", ".join(quoted) + ".", ECHO_PAUSE_S)
    elif not prompt.functions:
        yield from speak(prompt, _NO_TOOLS, ECHO_PAUSE_S)
    else:
        function = prompt.functions[0]
        args = example(function.schema, prompt.text) if function.schema is not None else {}
        call = {
            "id": f"call_{prompt.fingerprint:08x}",
            "name": function.name,
            "args": args if isinstance(args, dict) else {},
        }
        signature = base64.b64encode(f"sandbox {call['id']}".encode()).decode()
        tokens = count_tokens(codec.dumps(call).decode())
        part = {"functionCall": call, "thoughtSignature": signature}
        yield 0.0, reply(prompt, [part], written_tokens=tokens)
        yield 0.0, reply(prompt, [{"text": ""}], finish="STOP", written_tokens=tokens)


def image(prompt: Prompt) -> Turn:
    """A line of text and a picture, whose colour follows from the prompt."""
    red, green, blue = zlib.crc32(prompt.text.encode("utf-8", "replace")).to_bytes(4)[:3]
    words = f"The colour #{red:02x}{green:02x}{blue:02x}."
    yield 0.0, reply(prompt, [{"text": words}], written_tokens=count_tokens(words))
    data = png(*_size(prompt.aspect_ratio), (red, green, blue))
    picture = {"mimeType": "image/png", "data": base64.b64encode(data).decode()}
    tokens = count_tokens(words) + PICTURE_TOKENS
    yield 0.0, reply(prompt, [{"inlineData": picture}], finish="STOP", written_tokens=tokens)


def _size(aspect_ratio: str) -> tuple[int, int]:
    """Width and height in pixels; "16:9" and the like turn the longer side down to the usual one."""
    ratio = _RATIO.fullmatch(aspect_ratio)
    width, height = (int(ratio[1]), int(ratio[2])) if ratio else (1, 1)
    longer = max(width, height)
    return PICTURE_PIXELS * width // longer, PICTURE_PIXELS * height // longer


MODELS: dict[str, Callable[[Prompt], Turn]] = {
    "sandbox-echo": echo,
    "sandbox-slow": slow,
    "sandbox-tools": tools,
    "sandbox-image": image,
}

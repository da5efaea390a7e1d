"""Why an answer ended, in the words of each dialect (reference 5.2)."""

from __future__ import annotations

from apiproxy.wire.types import Json
from gateway.lib.errors import StreamBroken

_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "LANGUAGE",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)
_IN_WORDS = {
    "MALFORMED_FUNCTION_CALL": "The model wrote a function call that cannot be read.",
    "UNEXPECTED_TOOL_CALL": "The model called a tool that was not offered.",
    "TOO_MANY_TOOL_CALLS": "The model made too many tool calls in a row.",
    "NO_IMAGE": "The model drew no picture.",
    "IMAGE_OTHER": "The model could not draw this picture.",
    "IMAGE_SAFETY": "The picture was withheld by the model's provider.",
    "IMAGE_PROHIBITED_CONTENT": "The picture was withheld by the model's provider.",
    "IMAGE_RECITATION": "The picture was withheld by the model's provider: it resembles others too much.",
}


def openai_reason(reason: str, *, called: bool) -> str:
    """`reason` "" means that the upstream went away without one: the answer is cut."""
    if reason in ("", "MAX_TOKENS"):
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if reason == "STOP" and called else "stop"


def anthropic_reason(reason: str, *, called: bool) -> str:
    """As `openai_reason`. Which stop sequence ended an answer is never known."""
    if reason in ("", "MAX_TOKENS"):
        return "max_tokens"
    if reason in _FILTERED:
        return "refusal"
    return "tool_use" if reason == "STOP" and called else "end_turn"


def failure_text(candidate: Json) -> str:
    """What to show of a call or a picture that failed upstream; "" for every other end."""
    default = _IN_WORDS.get(reason_of(candidate))
    if default is None:
        return ""
    message = candidate.get("finishMessage")
    return message if isinstance(message, str) and message else default


def reason_of(candidate: Json) -> str:
    """Empty while the candidate goes on."""
    reason = candidate.get("finishReason")
    return reason if isinstance(reason, str) else ""


def blocked_text(reason: str) -> str:
    return f"The prompt was blocked by the model's provider ({reason})."


def broken_call(*, called: bool, ending: str, blocked: str) -> StreamBroken | None:
    """An upstream that goes away after a call may have wanted to say more: such a call must not be carried out."""
    if not called or ending or blocked:
        return None
    return StreamBroken("the upstream ended its answer in the middle of a tool call: ask again")

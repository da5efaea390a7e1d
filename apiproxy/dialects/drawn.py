"""Canonical replies -> the pictures in them, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

from apiproxy.dialects import finish
from apiproxy.dialects.content import shown_text
from apiproxy.wire.types import Json
from apiproxy.wire.usage import blocked, candidates, is_picture, parts
from gateway.lib.errors import EmptyAnswer, GatewayError, UpstreamRefused

_LONGEST_QUOTE = 200
_WITHHELD = frozenset(
    {"SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT"}
    | {"RECITATION", "IMAGE_RECITATION", "BLOCKLIST", "SPII"}
)


def pictures_of(replies: list[Json]) -> list[tuple[Json, str]]:
    """Each picture's part and the text of the reply it came in. Raises the error that fits when there is none."""
    found = [
        (part, text)
        for reply in replies
        for text in (_text(reply),)
        for part in _parts(reply)
        if is_picture(part)
    ]
    if not found:
        raise _nothing_drawn(replies)
    return found


def _nothing_drawn(replies: list[Json]) -> GatewayError:
    reasons = [
        reason
        for reply in replies
        for candidate in candidates(reply)
        if (reason := finish.reason_of(candidate))
    ]
    for reply in replies:
        if reason := blocked(reply):
            return UpstreamRefused(
                f"{finish.blocked_text(reason)} Change the prompt.", param="prompt"
            )
    for reason in reasons:
        if reason in _WITHHELD:
            return UpstreamRefused(
                f"the picture was withheld by the model's provider ({reason}): change the prompt",
                param="prompt",
            )
    text = " ".join(filter(None, map(_text, replies)))
    if text or reasons:
        said = f"; it said: {text[:_LONGEST_QUOTE]}" if text else f" ({', '.join(reasons)})"
        return UpstreamRefused(
            f"the model drew nothing: ask for a picture in the prompt, or try again{said}",
            param="prompt",
        )
    return EmptyAnswer("the model answered with nothing: try again")


def _text(reply: Json) -> str:
    return "".join(shown_text(part) for part in _parts(reply)).strip()


def _parts(reply: Json) -> Iterator[Json]:
    """Without thoughts: the sketches among them are no results (reference 3.5)."""
    return (
        part
        for candidate in candidates(reply)
        for part in parts(candidate)
        if not part.get("thought")
    )

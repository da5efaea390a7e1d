"""Thought signatures of function calls: taken from answers, put back into histories that lost them (reference 3.3).

Clients of other dialects strip them; `signature_store` keeps them by call id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from apiproxy.dialects.fields import either
from apiproxy.wire.types import Json
from apiproxy.wire.usage import candidates, parts

STAND_IN = "skip_thought_signature_validator"
"""Google documents this literal for histories without signatures."""

_LONGEST_ID = 64
"""OpenAI's clients refuse longer ones."""


class Unsigned(Struct):
    """A part with a call that has no signature. `first`: of its step, so it has to have one."""

    part: Json
    call_id: str
    first: bool


def unsigned(body: Json) -> list[Unsigned]:
    """Both spellings of the field names are read."""
    found: list[Unsigned] = []
    for content in model_contents(body):
        first = True
        for part in parts({"content": content}):
            call = either(part, "functionCall", "function_call")
            if call is None:
                continue
            if either(part, "thoughtSignature", "thought_signature") is None:
                found.append(Unsigned(part, _id_of(call), first))
            first = False
    return found


def model_contents(body: Json) -> list[Json]:
    contents: Any = body.get("contents")
    return [
        content
        for content in (contents if isinstance(contents, list) else ())
        if isinstance(content, dict) and content.get("role") == "model"
    ]


def sign(calls: list[Unsigned], lookup: Callable[[str], str | None], *, strict: bool) -> None:
    """In place. `strict`: the first call of each model turn gets the stand-in when `lookup` knows none."""
    for call in calls:
        signature = lookup(call.call_id) if call.call_id else None
        if signature is None and call.first and strict:
            signature = STAND_IN
        if signature is not None:
            call.part["thoughtSignature"] = signature


def restore(body: Json, lookup: Callable[[str], str | None], *, strict: bool) -> None:
    """Fill in the missing signatures of a canonical request, in place."""
    sign(unsigned(body), lookup, strict=strict)


def harvest(reply: Json, new_id: Callable[[], str]) -> list[tuple[str, str]]:
    """Give every call of a canonical reply an id, in place; return the (call id, signature) pairs it carries."""
    found: list[tuple[str, str]] = []
    if not _may_hold_calls(reply):
        return found
    for candidate in candidates(reply):
        for part in parts(candidate):
            if "functionCall" not in part or not isinstance(call := part["functionCall"], dict):
                continue
            call_id = _id_of(call)
            if not call_id or len(call_id) > _LONGEST_ID:
                call_id = call["id"] = new_id()
            if isinstance(signature := part.get("thoughtSignature"), str) and signature:
                found.append((call_id, signature))
    return found


def _may_hold_calls(reply: Json) -> bool:
    """The quick answer for almost every chunk of a stream; anything unusual is looked at properly."""
    try:
        for candidate in reply["candidates"]:
            for part in candidate["content"]["parts"]:
                if "functionCall" in part:
                    return True
    except (KeyError, TypeError):
        return True
    return False


def _id_of(call: object) -> str:
    call_id = call.get("id") if isinstance(call, dict) else None
    return call_id if isinstance(call_id, str) else ""

"""Thought signatures of function calls: taken from answers, put back into histories that lost them (reference 3.3).

Clients of other dialects strip them; the relay keeps them by call id and hands them to `restore` through `lookup`.
"""

from __future__ import annotations

from collections.abc import Callable

from apiproxy.dialects.fields import either
from apiproxy.wire.types import Json
from apiproxy.wire.usage import candidates, parts

STAND_IN = "skip_thought_signature_validator"
"""Google documents this literal for histories without signatures."""


def restore(body: Json, lookup: Callable[[str], str | None], *, strict: bool) -> None:
    """Fill in the missing signatures of a canonical request, in place. Both spellings of the field names are read.

    `strict`: the first call of each model turn gets the stand-in when `lookup` knows none.
    """
    contents = body.get("contents")
    for content in contents if isinstance(contents, list) else ():
        if isinstance(content, dict) and content.get("role") == "model":
            _restore_step(content, lookup, strict)


def _restore_step(content: Json, lookup: Callable[[str], str | None], strict: bool) -> None:
    first = True
    for part in parts({"content": content}):
        call = either(part, "functionCall", "function_call")
        if call is None:
            continue
        if either(part, "thoughtSignature", "thought_signature") is None:
            signature = lookup(call_id) if (call_id := _id_of(call)) else None
            if signature is None and first and strict:
                signature = STAND_IN
            if signature is not None:
                part["thoughtSignature"] = signature
        first = False


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
            if not call_id:
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

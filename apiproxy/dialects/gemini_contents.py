"""`contents` of native requests: passed on as they are, but for what clients do and one of the upstreams refuses.

Google's own examples write one message where a list belongs, and leave the user's role out, which Code Assist wants.

SDKs that keep the history of a stream keep a content for each of its pieces, while Google counts calls and answers by
content: neighbours of one role are joined where one of them calls or answers. Clients that take up a stored conversation
may hand in a result twice: the second goes away.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from typing import Any

from apiproxy.dialects.fields import as_list, as_object, either
from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

_CALL = ("functionCall", "function_call")
_ANSWER = ("functionResponse", "function_response")
_CALLING = frozenset(_CALL + _ANSWER)
_LONGEST_ID = 64


def mended(value: Any, at: str, notes: list[str]) -> list[Json]:
    """What went away is appended to `notes`. Whatever else is malformed is for the upstream to refuse."""
    contents = [value] if isinstance(value, dict) else as_list(value, at)
    if not contents:
        raise InvalidRequest(f"{at} must hold at least one content", param=at)
    for number, content in enumerate(contents):
        _complete(as_object(content, f"{at}[{number}]"))
    joined: list[Json] = []
    for _, run in groupby(contents, lambda content: content["role"] == "model"):
        turn = list(run)
        joined.extend(turn if len(turn) == 1 or not _calls(turn) else [_one(turn)])
    for called, answered in pairwise(joined):
        _drop_repeats(called, answered, notes)
    return joined


def listed(message: Json, *fields: str) -> None:
    """In place: a single message stands for a list of one."""
    for field in fields:
        if isinstance(message.get(field), dict):
            message[field] = [message[field]]


def _complete(content: Json) -> None:
    if content.get("role") in (None, ""):
        content["role"] = "user"
    listed(content, "parts")


def _calls(turn: list[Json]) -> bool:
    lists = [content["parts"] for content in turn if isinstance(content.get("parts"), list)]
    return len(lists) == len(turn) and any(
        isinstance(part, dict) and not _CALLING.isdisjoint(part)
        for parts in lists
        for part in parts
    )


def _one(turn: list[Json]) -> Json:
    # Results may come in a turn of the older role `function`, in which nothing else can stand.
    role = "model" if turn[0]["role"] == "model" else "user"
    parts = [part for content in turn for part in content["parts"]]
    return {**turn[0], "role": role, "parts": parts}


def _drop_repeats(called: Json, answered: Json, notes: list[str]) -> None:
    """Results beyond those that the calls before them are waiting for; known by their ids."""
    answers = _ids(answered, _ANSWER)
    if len(answers) == len(set(answers)):
        return
    waiting = Counter(_ids(called, _CALL))
    kept: list[Any] = []
    for part in answered["parts"]:
        call_id = _id(part, _ANSWER)
        if call_id in waiting:
            if not waiting[call_id]:
                notes.append(f"the result for the call {call_id[:_LONGEST_ID]!r} stood there twice")
                continue
            waiting[call_id] -= 1
        kept.append(part)
    answered["parts"] = kept


def _ids(content: Json, kind: tuple[str, str]) -> list[str]:
    parts = content.get("parts")
    return (
        [found for part in parts if (found := _id(part, kind))] if isinstance(parts, list) else []
    )


def _id(part: Any, kind: tuple[str, str]) -> str:
    found = either(part, *kind) if isinstance(part, dict) else None
    call_id = found.get("id") if isinstance(found, dict) else None
    return call_id if isinstance(call_id, str) else ""

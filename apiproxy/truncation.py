"""Answers that must not be cut: the model ends each with a mark, and is asked to go on while the mark is missing. Pure.

The mark is new for every request and of a form nobody writes, so that nothing a model means to say is ever taken for
it; a client never sees any of it (reference 6.5).
"""

from __future__ import annotations

import hashlib
from typing import Any

from apiproxy.dialects.fields import either
from apiproxy.wire.types import Call, Json

_OPENING = "[[END:"
# That much of a mark is no accident: an answer that was cut here had come to its end.
_UNMISTAKABLE = len(_OPENING) + 2
# No more white space than that is kept back to see whether a mark follows it.
_MOST_SPACE_HELD = 64

_RULE = (
    "End your answer with {mark} alone on its last line once it is complete, and write that mark nowhere else. "
    "It is removed before anybody reads the answer: do not mention it. If it is missing you will be asked to go on."
)
_GO_ON = (
    "Your answer was cut off. It ended with:\n{tail}\nGo on from exactly there, in the same language and form. "
    "Repeat nothing, add no introduction, and end with {mark} once the answer is complete."
)
_TAIL_CHARACTERS = 100


def obstacle(call: Call) -> str:
    """Why this call cannot be continued, in words that follow "not"; "" when it can."""
    config = call.body.get("generationConfig")
    config = config if isinstance(config, dict) else {}
    if wants_json(call.body):
        return "with JSON mode"
    if (either(config, "candidateCount", "candidate_count") or 1) != 1:
        return "with several candidates"
    if "image_output" in call.model.capabilities:
        return "with a model that draws"
    modalities = either(config, "responseModalities", "response_modalities")
    if isinstance(modalities, list) and any(str(one).upper() != "TEXT" for one in modalities):
        return "with pictures or sound"
    return ""


def wants_json(body: Json) -> bool:
    config = body.get("generationConfig")
    if not isinstance(config, dict):
        return False
    mime_type = either(config, "responseMimeType", "response_mime_type")
    schemas = (
        "responseSchema",
        "response_schema",
        "responseJsonSchema",
        "response_json_schema",
    )
    return mime_type not in (None, "text/plain") or either(config, *schemas) is not None


def mark_of(request_id: str) -> str:
    digest = hashlib.blake2s(request_id.encode(), digest_size=6).hexdigest()
    return f"{_OPENING}{digest}]]"


def instructed(body: Json, mark: str, *, compatibility: bool) -> Json:
    """A copy of the request that asks for the mark: in the system instruction where there may be one."""
    rule = {"text": _RULE.format(mark=mark)}
    system = body.get("systemInstruction")
    said = system.get("parts", []) if isinstance(system, dict) else system
    readable = said is None or isinstance(said, list)
    if compatibility or body.get("cachedContent") or not readable:
        return {**body, "contents": led_by([rule], body["contents"])}
    return {**body, "systemInstruction": {"parts": [*(said or ()), rule]}}


def led_by(said: list[Json], contents: list[Any]) -> list[Any]:
    """The turns with something that the user says first."""
    first = contents[0]
    if isinstance(first, dict) and first.get("role", "user") == "user":
        own = first.get("parts")
        if isinstance(own, list):
            return [{**first, "parts": [*said, *own]}, *contents[1:]]
    return [{"role": "user", "parts": said}, *contents]


def continuation(body: Json, said: list[Json], mark: str, *, as_user: bool) -> Json:
    """A copy of the request that goes on after `said`, the model's parts so far: as the beginning of its own turn, or
    with words of the user for models that take no such beginning."""
    contents = _with_turn(body["contents"], "model", said)
    if as_user:
        tail = "".join(part.get("text", "") for part in said)[-_TAIL_CHARACTERS:]
        words = _GO_ON.format(tail=tail, mark=mark)
        contents = _with_turn(contents, "user", [{"text": words}])
    return {**body, "contents": contents}


def _with_turn(contents: list[Json], role: str, said: list[Json]) -> list[Json]:
    """Turns alternate: what the same side said last is gone on with."""
    last = contents[-1]
    if last.get("role", "user") == role and isinstance(last.get("parts"), list):
        return [*contents[:-1], {**last, "parts": [*last["parts"], *said]}]
    return [*contents, {"role": role, "parts": said}]


class Unmarked:
    """Text as it comes -> the text without marks. What may be the beginning of one is kept back until it is clear."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._held = ""
        self._marked = False

    def feed(self, text: str) -> str:
        *before, rest = (self._held + text).split(self._mark)
        self._marked = (self._marked or bool(before)) and not rest.strip()
        whole = "".join(before) + rest
        open_from = len(whole) - self._begun(rest)
        kept = max(len(whole[:open_from].rstrip()), open_from - _MOST_SPACE_HELD)
        self._held = whole[kept:]
        return whole[:kept]

    def _begun(self, rest: str) -> int:
        """How many characters at the end may be the beginning of a mark."""
        most = min(len(self._mark) - 1, len(rest))
        return next((n for n in range(most, 0, -1) if rest.endswith(self._mark[:n])), 0)

    def flush(self) -> str:
        """What was kept back and is text after all, because something else than text follows."""
        held, self._held = self._held, ""
        return "" if self._marked else held

    def close(self) -> tuple[str, bool]:
        """(the rest of the text, whether it ended with the mark or with most of one)."""
        begun = self._begun(self._held)
        if begun >= _UNMISTAKABLE:
            self._marked = True
        return self.flush(), self._marked


def total(first: Json, second: Json) -> Json:
    """Two `usageMetadata` added up; of what is no count the later stays."""
    added = {**first, **second}
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        if isinstance(one, int) and isinstance(other, int):
            added[name] = one + other
        elif isinstance(one, list) and isinstance(other, list):
            added[name] = _by_modality([*one, *other])
    return added


def _by_modality(details: list[Any]) -> list[Json]:
    counts: dict[str, int] = {}
    for detail in details:
        if isinstance(detail, dict) and isinstance(detail.get("tokenCount"), int):
            modality = str(detail.get("modality"))
            counts[modality] = counts.get(modality, 0) + detail["tokenCount"]
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items()]

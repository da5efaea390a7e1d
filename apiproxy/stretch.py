"""One upstream answer as a stretch of a longer one: what a client may see of it, and whether it has to be gone on with.
Pure.
"""

from __future__ import annotations

from apiproxy.dialects.content import is_call
from apiproxy.dialects.finish import reason_of
from apiproxy.dialects.grounding import joined
from apiproxy.truncation import Unmarked, total
from apiproxy.wire.types import Json
from apiproxy.wire.usage import blocked, candidates, parts

_CUT = "MAX_TOKENS"
_ENDS = ("finishReason", "finishMessage")
_ENVELOPE = ("modelVersion", "responseId")


class Stretch:
    def __init__(self, mark: str, before: Stretch | None = None) -> None:
        self._text = Unmarked(mark)
        self._thoughts = Unmarked(mark)
        self._spent_before: Json = before.spent if before else {}
        self._grounding_before: Json = before.grounding if before else {}
        self._begins_at_byte = before.text_bytes if before else 0
        self._usage: Json = {}
        self._envelope: Json = {}
        self._end: Json = {}
        self._blocked = False
        self._complete = False
        self._added = False
        self.grounding: Json = self._grounding_before
        self.said: list[Json] = list(before.said) if before else []
        """The parts of this stretch and those before that the next one goes on from: no thoughts."""
        self.called = False
        """A function call ends an answer; nothing goes on from it."""

    def show(self, reply: Json) -> Json | None:
        """The reply without marks and without an end, and with the usage of all stretches; None when nothing is left."""
        shown = {name: value for name, value in reply.items() if name != "candidates"}
        self._blocked = bool(blocked(reply)) or self._blocked
        self._envelope = {name: reply[name] for name in _ENVELOPE if name in reply}
        if isinstance(usage := shown.get("usageMetadata"), dict):
            self._usage = usage
            shown["usageMetadata"] = self.spent
        if found := candidates(reply):
            candidate = self._open_end(found[0])
            if candidate.keys() <= {"index"}:
                return shown if self._blocked else None
            shown["candidates"] = [candidate]
        return shown

    @property
    def spent(self) -> Json:
        """The usage of this stretch and those before."""
        return total(self._spent_before, self._usage)

    @property
    def text_bytes(self) -> int:
        texts = (part["text"] for part in self.said if "text" in part)
        return sum(len(text.encode("utf-8", "replace")) for text in texts)

    def _open_end(self, candidate: Json) -> Json:
        if reason_of(candidate):
            self._end = {name: candidate[name] for name in _ENDS if name in candidate}
        shown = {name: value for name, value in candidate.items() if name not in _ENDS}
        if isinstance(grounding := shown.get("groundingMetadata"), dict):
            self.grounding = joined(self._grounding_before, grounding, self._begins_at_byte)
            shown["groundingMetadata"] = self.grounding
        content = shown.pop("content", None)
        if isinstance(content, dict) and (said := self._unmarked(parts(candidate))):
            shown["content"] = {**content, "parts": said}
        return shown

    def _unmarked(self, given: list[Json]) -> list[Json]:
        shown: list[Json] = []
        for part in given:
            text = part.get("text")
            if not isinstance(text, str):
                self._release(shown, thoughts=True, text=True)
                self._take(part)
                shown.append(part)
                continue
            thought = bool(part.get("thought"))
            self._release(shown, thoughts=not thought, text=thought)
            clean = (self._thoughts if thought else self._text).feed(text)
            if not thought:
                self._say(clean)
            # A signature may come on a part whose text is empty.
            if clean or part.keys() - {"text", "thought"}:
                shown.append({**part, "text": clean})
        return shown

    def _release(self, shown: list[Json], *, thoughts: bool, text: bool) -> None:
        """What was kept back goes out before something else than its like."""
        if thoughts and (held := self._thoughts.flush()):
            shown.append({"text": held, "thought": True})
        if text and (held := self._text.flush()):
            self._say(held)
            shown.append({"text": held})

    def _take(self, part: Json) -> None:
        if is_call(part):
            self.called = True
        elif not part.get("thought") and "text" not in part:
            self._added = True
            self.said.append(part)

    def _say(self, text: str) -> None:
        if not text:
            return
        self._added = self._added or not text.isspace()
        if self.said and self.said[-1].keys() == {"text"}:
            text = self.said.pop()["text"] + text
        self.said.append({"text": text})

    def close(self) -> Json | None:
        """The rest of the text, once the upstream has ended; whether there is more to come is known from here on."""
        held = self._thoughts.close()[0]
        said: list[Json] = [{"text": held, "thought": True}] if held else []
        held, self._complete = self._text.close()
        if held:
            self._say(held)
            said.append({"text": held})
        return self._reply({"content": {"role": "model", "parts": said}}) if said else None

    def goes_on(self, *, may_stop: bool) -> bool:
        """`may_stop`: the client named words to stop at, so an end without the mark may be one. Without new text another
        try would bring no more either.
        """
        if self._complete or self.called or self._blocked or not self._added:
            return False
        reason = self._end.get("finishReason", "")
        return reason in ("", _CUT) or (reason == "STOP" and not may_stop)

    def break_off(self) -> None:
        """It was to be gone on with, and that failed."""
        self._end = {"finishReason": _CUT}

    def ending(self, *, cut: bool) -> Json | None:
        """The reply that says how the whole ended; None where the upstream did not say. `cut`: something of the answer
        was delivered, so that an upstream that went away has cut it.
        """
        if self._blocked:
            return None
        end = self._end
        if self._complete:
            end = {"finishReason": "STOP"}
        elif cut and not end and not self.called:
            end = {"finishReason": _CUT}
        if not end:
            return None
        return self._reply({"content": {"role": "model", "parts": [{"text": ""}]}, **end})

    def _reply(self, candidate: Json) -> Json:
        reply: Json = {"candidates": [{**candidate, "index": 0}], **self._envelope}
        if spent := self.spent:
            reply["usageMetadata"] = spent
        return reply

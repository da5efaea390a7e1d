"""A conversation in the client's order -> `contents` in an order Google accepts (reference 5.1 "ordering", 3.3).

What is mended: neighbours of one role become one content; all answers to a model turn stand in one content right after
it, one for each call and in the order of the calls; an answer nobody asked for becomes user text; the first turn is
the user's; a last turn of calls that nobody answered goes away. `notes` say what of this a client would want to know.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from apiproxy.dialects.fields import deeper_than
from apiproxy.wire import codec
from apiproxy.wire.types import Json

_OPENING = "(The conversation continues.)"
CONTINUE = "Continue."
_NO_ANSWER = "No result was returned for this call."
_MAX_DEPTH = 100
_MOST_NOTES = 20
_LONGEST_NAME = 64


class _Turn:
    __slots__ = ("answered", "answers", "calls", "from_model", "media", "parts")

    def __init__(self, from_model: bool) -> None:
        self.from_model = from_model
        self.parts: list[Json] = []
        self.calls: list[Json] = []
        """The functionCall values of `parts`."""
        self.answers: dict[int, Json] = {}
        """Position in `calls` -> its functionResponse part."""
        self.answered = 0
        """The furthest of these positions."""
        self.media: list[Json] = []


class History:
    def __init__(self, *, media_in_results: bool, ends_with_user: bool) -> None:
        """`media_in_results`: a function's result may hold pictures itself (Gemini 3), else they stand beside it.
        `ends_with_user`: a trailing model turn is followed by a short user turn (gotcha 10).
        """
        self._media_in_results = media_in_results
        self._ends_with_user = ends_with_user
        self._turns: list[_Turn] = []
        self._open: dict[str, deque[tuple[_Turn, int]]] = {}
        """Unanswered calls by id, or by name where a legacy call has none."""
        self.notes: list[str] = []
        """What was mended, in words; complete when `contents` was called."""

    def is_empty(self) -> bool:
        return not self._turns

    def add_user(self, parts: list[Json]) -> None:
        if parts:
            self._turn(from_model=False).parts.extend(parts)

    def add_model(self, parts: list[Json]) -> None:
        """Parts without content must have been left out before."""
        if not parts:
            return
        turn = self._turn(from_model=True)
        turn.parts.extend(parts)
        for part in parts:
            if (call := part.get("functionCall")) is not None:
                self._expect(turn, call)

    def add_result(self, *, call_id: str, name: str, response: Json, media: list[Json]) -> None:
        """`name` counts where the call is not found, or has no id."""
        waiting = self._open.get(_key(call_id, name))
        if not waiting:
            self._note(f"the result for {_shown(call_id, name)} answers no open call: sent as text")
            text = codec.encode(response).decode()
            self.add_user([{"text": f"[Result of {name or 'a function'}] {text}"}, *media])
            return
        turn, position = waiting.popleft()
        if turn is not self._turns[-1] or position < turn.answered:
            self._note(f"the result for {_shown(call_id, name)} was put where its call expects it")
        answer = _answer(turn.calls[position], response)
        if media and self._media_in_results:
            answer["functionResponse"]["parts"] = media
        else:
            turn.media.extend(media)
        turn.answers[position] = answer
        turn.answered = max(turn.answered, position)

    def contents(self) -> list[Json]:
        turns = self._turns
        if turns and turns[-1].calls and not turns[-1].answers:
            turns.pop()
            self._note("the last turn calls functions and has no results: left out")
        contents: list[Json] = []
        for turn in turns:
            _append(contents, "model" if turn.from_model else "user", turn.parts)
            if turn.calls:
                _append(contents, "user", self._answers(turn) + turn.media)
        if not contents or contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
            self._note("the conversation does not begin with the user: a short user turn was added")
        if self._ends_with_user and contents[-1]["role"] == "model":
            contents.append({"role": "user", "parts": [{"text": CONTINUE}]})
            self._note("this model continues no turn of its own: a short user turn was added")
        return contents

    def _answers(self, turn: _Turn) -> list[Json]:
        for position, call in enumerate(turn.calls):
            if position not in turn.answers:
                self._note(
                    f"{_shown(call.get('id', ''), call['name'])} has no result: it is told so"
                )
                turn.answers[position] = _answer(call, {"error": _NO_ANSWER})
        return [turn.answers[position] for position in range(len(turn.calls))]

    def _note(self, words: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(words)

    def _turn(self, *, from_model: bool) -> _Turn:
        last = self._turns[-1] if self._turns else None
        if last is not None and last.from_model is from_model and not last.answers:
            return last
        turn = _Turn(from_model)
        self._turns.append(turn)
        return turn

    def _expect(self, turn: _Turn, call: Json) -> None:
        key = _key(call.get("id", ""), call["name"])
        waiting = self._open.get(key)
        if waiting is None or (waiting and waiting[0][0] is not turn):
            # A later turn that uses an id again takes it over.
            waiting = self._open[key] = deque()
        waiting.append((turn, len(turn.calls)))
        turn.calls.append(call)


def _key(call_id: str, name: str) -> str:
    return f"id {call_id}" if call_id else f"name {name}"


def _append(contents: list[Json], role: str, parts: list[Json]) -> None:
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"].extend(parts)
    else:
        contents.append({"role": role, "parts": parts})


def _shown(call_id: str, name: str) -> str:
    return f"the call {(call_id or name)[:_LONGEST_NAME]!r}"


def _answer(call: Json, response: Json) -> Json:
    answer: Json = {"name": call["name"], "response": response}
    if "id" in call:
        answer["id"] = call["id"]
    return {"functionResponse": answer}


def response_object(text: str) -> Json:
    """A tool's answer as `functionResponse.response`: a JSON object as it is, all else as its `result`."""
    value = _parsed(text) if text.lstrip()[:1] in ("{", "[") else text
    return value if isinstance(value, dict) else {"result": value}


def arguments_object(text: str) -> Json:
    """A call's arguments, a JSON text in the client's dialects. What is no object is wrapped, never refused."""
    if not text.strip():
        return {}
    value = _parsed(text)
    return value if isinstance(value, dict) else {"input": value}


def _parsed(text: str) -> Any:
    """The JSON value, or the text itself where it is none or nests beyond reason."""
    try:
        value = codec.loads(text)
    except codec.DecodeError:
        return text
    brackets = text.count("{") + text.count("[")
    return text if brackets > _MAX_DEPTH and deeper_than(value, _MAX_DEPTH) else value

"""What an answer must be. Each check raises Wrong with words for the table."""

from __future__ import annotations

import math
from collections.abc import Callable

from apiproxy.selftest.talk import TOOL, Ask, Json, Said, demand
from apiproxy.wire import codec

Check = Callable[[Ask, Said], None]


def echoed(ask: Ask, said: Said) -> None:
    demand(said.text == ask.text, f"said {said.text[:80]!r} instead of {ask.text!r}")
    _one_ending(said, "stop")


def streamed(ask: Ask, said: Said) -> None:
    echoed(ask, said)
    demand(said.pieces > 1, "the text came in one piece")


def heeded(ask: Ask, said: Said) -> None:
    """The sandbox repeats its instructions before it echoes."""
    demand(ask.system in said.text, f"the instructions are not in {said.text[:80]!r}")
    demand(said.text.endswith(ask.text), f"{said.text[:80]!r} does not end with the user's words")


def saw(ask: Ask, said: Said) -> None:
    demand("[image/png, " in said.text, f"no picture is named in {said.text[:80]!r}")


def called(ask: Ask, said: Said) -> None:
    demand(len(said.calls) == 1, f"{len(said.calls)} calls instead of one")
    call = said.calls[0]
    demand(call.id and call.name == TOOL, f"the call is {call.name!r} with the id {call.id!r}")
    demand(isinstance(call.arguments.get("city"), str), f"the arguments are {call.arguments!r}")
    _one_ending(said, "tool_calls")


def told_the_result(ask: Ask, said: Said) -> None:
    wanted = f'The function {TOOL} answered {{"celsius":21}}.'
    demand(said.text == wanted, f"said {said.text[:80]!r} instead of {wanted!r}")
    _one_ending(said, "stop")


def structured(ask: Ask, said: Said) -> None:
    value = codec.loads(said.text)
    demand(value.keys() == {"city", "days"}, f"the object is {said.text[:80]}")
    demand(isinstance(value["city"], str) and value["days"] >= 3, f"the object is {said.text[:80]}")


def drew(ask: Ask, said: Said) -> None:
    demand(said.pictures == 1, f"{said.pictures} pictures instead of one")


def thought(ask: Ask, said: Said) -> None:
    demand("Nothing has to be found out" in said.thoughts, f"the thoughts: {said.thoughts[:80]!r}")
    demand(said.text.startswith("One word"), f"the text: {said.text[:80]!r}")


def cut_short(ask: Ask, said: Said) -> None:
    demand(said.text and ask.text.startswith(said.text), f"said {said.text[:80]!r}")
    _one_ending(said, "length")


def metered(ask: Ask, said: Said) -> None:
    demand(said.input_tokens > 0, "no input tokens are counted")
    demand(said.output_tokens > 0, "no output tokens are counted")


def counted(ask: Ask, said: Said) -> None:
    demand(said.input_tokens > 0, "nothing is counted")
    demand(not said.text, "something is said")


def broke(ask: Ask, said: Said) -> None:
    """What came before the error stays; nothing says that the answer is complete."""
    demand(said.text, "the text before the error is missing")
    demand(said.failure, "the error is missing")
    demand(said.endings == [], f"a broken answer is finished: {said.endings}")


def not_complete(ask: Ask, said: Said) -> None:
    demand(said.text or said.failure, "nothing came")
    demand("stop" not in said.endings, "a cut answer passes for a complete one")


def embedded(ask: Ask, said: Said) -> None:
    demand(len(said.vectors) == 1, f"{len(said.vectors)} vectors instead of one")
    length = math.hypot(*said.vectors[0])
    demand(abs(length - 1) < 0.001, f"the vector's length is {length:.3f}, not 1")


def _one_ending(said: Said, wanted: str) -> None:
    demand(said.endings == [wanted], f"finished {said.endings} instead of once, {wanted}")


SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "days"],
    "additionalProperties": False,
}

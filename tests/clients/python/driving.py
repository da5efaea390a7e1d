"""What the Python drivers share: the loop of the protocol, and answers in its words."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
import traceback
from typing import Any, Protocol

from pydantic import BaseModel

Json = dict[str, Any]


class Reply(BaseModel):
    """The class behind `schema`, for clients that take classes."""

    answer: str
    score: int


class Talk(Protocol):
    """A conversation of one client, which keeps the history in that client's own objects."""

    def __init__(self, question: Json) -> None: ...

    def say(self, prompt: str, image: Json | None) -> None: ...

    def hear(self) -> Json:
        """The model's answer, in the words of the protocol; it goes to the history."""

    def give(self, results: list[tuple[Json, Json]]) -> None:
        """(call as `hear` told it, result) of every call of the last answer, in order."""


def drive(distribution: str, talk: type[Talk], *errors: type[Exception]) -> None:
    """Plays until standard input ends. `errors`: the client's base classes; whatever else is raised is a crash."""
    # Some clients print; what they print is no answer.
    sys.stdout = sys.stderr
    # Some leave their streams to the collector. One that is closed in the middle of httpcore's own work waits for a lock that its own
    # thread holds, for ever: so they are collected between the questions, and only then.
    gc.disable()
    _say({"client": distribution, "version": importlib.metadata.version(distribution)})
    for line in sys.stdin:
        gc.collect()
        try:
            answers = _conversation(json.loads(line), talk)
        except errors as exc:
            _say({"error": _told(exc)})
        except Exception:  # noqa: BLE001
            _say({"crash": traceback.format_exc(limit=-4)})
        else:
            _say({"answers": answers})


def _conversation(question: Json, kind: type[Talk]) -> list[Json]:
    talk, answers = kind(question), []
    for number, prompt in enumerate(question["prompts"]):
        talk.say(prompt, question.get("image") if number == 0 else None)
        answers.append(talk.hear())
        while answers[-1]["calls"] and "results" in question:
            results = [
                question["results"][call["arguments"]["city"]] for call in answers[-1]["calls"]
            ]
            talk.give([*zip(answers[-1]["calls"], results, strict=True)])
            answers.append(talk.hear())
    return answers


def answer(**seen: Any) -> Json:
    blank = {"text": "", "thoughts": "", "calls": [], "finish": None, "usage": None}
    return blank | {"pieces": [], "parsed": None} | seen


def call(id: str | None, name: str, arguments: Json | str) -> Json:
    """`arguments` as the client has them: JSON text, or the object."""
    shown = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"id": id, "name": name, "arguments": shown}


def usage(input: int | None, output: int | None, cached: int | None, thinking: int | None) -> Json:
    return {"input": input, "output": output, "cached": cached, "thinking": thinking}


def data_url(image: Json) -> str:
    return f"data:{image['mime']};base64,{image['data']}"


def _told(exc: Exception) -> Json:
    kind = type(exc)
    # Some wrap the exception that knows the status.
    wearers = [
        getattr(one, name, None) for one in (exc, exc.__cause__) for name in ("status_code", "code")
    ]
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "status": next((status for status in wearers if isinstance(status, int)), None),
        "message": str(exc),
    }


def _say(line: Json) -> None:
    sys.__stdout__.write(json.dumps(line) + "\n")
    sys.__stdout__.flush()

"""The cases of a client that hands back nothing but objects: those of `tests.clients.cases` that speak of text, retold."""

from __future__ import annotations

from tests.clients import cases
from tests.clients.cases import HELLO, PARSED, REPLY, declarations, texts_of
from tests.clients.harness import Stage
from tests.e2e.media import PNG_BASE64

CALLED = [{"name": "Reply", "args": PARSED}]


def chat(stage: Stage) -> None:
    stage.google.script("tool_call", calls=CALLED)
    [answer] = stage.ask(HELLO)
    assert answer["parsed"] == PARSED
    assert stage.sent()["contents"] == [{"role": "user", "parts": [{"text": HELLO}]}]


def stream(stage: Stage) -> None:
    """Objects that grow, out of JSON text: a call of Google's comes in one piece."""
    stage.google.script("json", json=PARSED, count=12)
    [answer] = stage.ask(HELLO, stream=True)
    assert answer["parsed"] == PARSED
    assert len(set(answer["pieces"])) > 2
    assert all(PARSED["answer"].startswith(piece) for piece in answer["pieces"])


def multi_turn(stage: Stage) -> None:
    stage.google.script("tool_call", calls=CALLED)
    answers = stage.ask("one", "two")
    assert [answer["parsed"] for answer in answers] == [PARSED, PARSED]
    assert [(turn["role"], texts_of(turn)) for turn in stage.sent()["contents"]] == [
        ("user", "one"),
        ("model", PARSED["answer"]),
        ("user", "two"),
    ]


def system(stage: Stage) -> None:
    stage.google.script("tool_call", calls=CALLED)
    [answer] = stage.ask(HELLO, system="Answer in rhymes.")
    assert answer["parsed"] == PARSED
    assert texts_of(stage.sent()["systemInstruction"]).strip() == "Answer in rhymes."


def vision(stage: Stage) -> None:
    stage.google.script("tool_call", calls=CALLED)
    [answer] = stage.ask("What is this?", image={"mime": "image/png", "data": PNG_BASE64})
    assert answer["parsed"] == PARSED
    [turn] = stage.sent()["contents"]
    blobs = [part["inlineData"] for part in turn["parts"] if "inlineData" in part]
    assert blobs == [{"mimeType": "image/png", "data": PNG_BASE64}]


def structured(stage: Stage) -> None:
    stage.google.script("tool_call", calls=CALLED)
    [answer] = stage.ask(HELLO)
    assert answer["parsed"] == PARSED
    [declared] = declarations(stage.sent())
    schema = declared.get("parametersJsonSchema") or declared["parameters"]
    kinds = {name: one["type"].lower() for name, one in schema["properties"].items()}
    assert kinds == {"answer": "string", "score": "integer"}
    assert schema["required"] == REPLY["schema"]["required"]


def usage(stage: Stage) -> None:
    counts = {"promptTokenCount": 100, "candidatesTokenCount": 10, "thoughtsTokenCount": 7}
    counts |= {"totalTokenCount": 117, "cachedContentTokenCount": 3}
    stage.google.script("tool_call", calls=CALLED, usage_metadata=counts)
    [answer] = stage.ask(HELLO)
    stage.shows(answer["usage"], input=100, output=17, cached=3, thinking=7)


def cancel(stage: Stage) -> None:
    long = {"answer": "word " * 400, "score": 1}
    stage.google.script("json", json=long, count=400, interval_s=0.05)
    [answer] = stage.ask(HELLO, stream=True, leave_after=4)
    assert long["answer"].startswith(answer["text"])
    cases.was_left(stage)


CASES = cases.CASES | {
    case.__name__: case
    for case in (chat, stream, multi_turn, system, vision, structured, usage, cancel)
}

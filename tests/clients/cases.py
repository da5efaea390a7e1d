"""The columns of the table. A case scripts the fake, lets the client ask, and compares values on both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.media import PNG_BASE64
from tests.fakes.google_signatures import STAND_INS

if TYPE_CHECKING:
    from tests.clients.harness import Stage

Json = dict[str, Any]

MODEL = "gemini-2.5-flash"
# Its turns with calls are refused without the signatures that came with them.
STRICT_MODEL = "gemini-3-flash-preview"

HELLO = "Grüezi, 東京 🏔️"
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Its name"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
CITIES = ("Zürich", "東京")
RESULTS = {"Zürich": {"sky": "blue", "degrees": 7}, "東京": {"sky": "grey", "degrees": 11}}
REPLY = {
    "name": "Reply",
    "schema": {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "score": {"type": "integer"}},
        "required": ["answer", "score"],
        "additionalProperties": False,
    },
}
PARSED = {"answer": "forty-two ✓", "score": 42}
THOUGHT = "First I weigh the question, then I answer it."


def chat(stage: Stage) -> None:
    [answer] = stage.ask(HELLO)
    stage.shows(answer, text=f"You said: {HELLO}", finish="stop", calls=[])
    assert stage.sent()["contents"] == [{"role": "user", "parts": [{"text": HELLO}]}]


def stream(stage: Stage) -> None:
    stage.google.script("text", text="one two 三 four 🏔️", count=4)
    [answer] = stage.ask(HELLO, stream=True)
    stage.shows(answer, text="one two 三 four 🏔️", finish="stop", calls=[])
    assert stage.google.calls()[-1].stream
    pieces = [piece for piece in answer["pieces"] if piece]
    assert "".join(pieces) == answer["text"]
    assert len(pieces) == 4


def multi_turn(stage: Stage) -> None:
    first, second = stage.ask("one", "two")
    stage.shows(first, text="You said: one")
    stage.shows(second, text="You said: two")
    assert [(turn["role"], texts_of(turn)) for turn in stage.sent()["contents"]] == [
        ("user", "one"),
        ("model", "You said: one"),
        ("user", "two"),
    ]


def system(stage: Stage) -> None:
    [answer] = stage.ask(HELLO, system="Answer in rhymes.")
    stage.shows(answer, text=f"You said: {HELLO}")
    assert texts_of(stage.sent()["systemInstruction"]) == "Answer in rhymes."
    assert [turn["role"] for turn in stage.sent()["contents"]] == ["user"]


def vision(stage: Stage) -> None:
    [answer] = stage.ask("What is this?", image={"mime": "image/png", "data": PNG_BASE64})
    stage.shows(answer, text="You said: What is this?")
    [turn] = stage.sent()["contents"]
    blobs = [part["inlineData"] for part in turn["parts"] if "inlineData" in part]
    assert blobs == [{"mimeType": "image/png", "data": PNG_BASE64}]


def tool(stage: Stage) -> None:
    stage.google.script("tool_call", calls=[calling("Zürich")])
    [answer] = stage.ask("weather?", tools=[WEATHER])
    saw_calls(stage, answer, "Zürich")
    [declared] = declarations(stage.sent())
    assert (declared["name"], declared["description"]) == ("get_weather", "The weather of a city")
    schema = declared.get("parametersJsonSchema") or declared["parameters"]
    assert schema["required"] == ["city"]
    assert schema["properties"]["city"]["type"].lower() == "string"


def round_trip(stage: Stage) -> None:
    """With a model that refuses a call whose signature was lost on the way through the client."""
    stage.google.script("tool_call", calls=[calling("Zürich")], times=1)
    first, last = stage.ask("weather?", tools=[WEATHER], results=RESULTS, model=STRICT_MODEL)
    saw_calls(stage, first, "Zürich")
    saw_results(stage, last, "Zürich")


def parallel(stage: Stage) -> None:
    stage.google.script("parallel_calls", calls=[*map(calling, CITIES)], times=1)
    first, last = stage.ask("weather?", tools=[WEATHER], results=RESULTS, model=STRICT_MODEL)
    saw_calls(stage, first, *CITIES)
    saw_results(stage, last, *CITIES)


def streamed_tools(stage: Stage) -> None:
    """Text, then calls in events of their own, the end apart from them; all the way round."""
    options = {"text": "I look.", "spread": True, "separate_stop": True, "times": 1}
    stage.google.script("parallel_calls", calls=[*map(calling, CITIES)], **options)
    asked = {"tools": [WEATHER], "results": RESULTS, "model": STRICT_MODEL}
    first, last = stage.ask("weather?", stream=True, **asked)
    stage.shows(first, text="I look.")
    saw_calls(stage, first, *CITIES)
    saw_results(stage, last, *CITIES)
    assert [call.stream for call in stage.google.calls()] == [True, True]


def structured(stage: Stage) -> None:
    if name := stage.client.structured_by:
        stage.google.script("tool_call", calls=[{"name": name, "args": PARSED}])
    else:
        stage.google.script("json", json=PARSED)
    [answer] = stage.ask("?", schema=REPLY)
    assert answer["parsed"] == PARSED


def reasoning(stage: Stage) -> None:
    stage.google.script("thoughts", thoughts=THOUGHT, text="Yes.")
    for streamed in (False, True):
        [answer] = stage.ask("?", effort="high", stream=streamed)
        stage.shows(answer, text="Yes.", thoughts=THOUGHT)
        assert stage.sent()["generationConfig"]["thinkingConfig"]["includeThoughts"] is True


def usage(stage: Stage) -> None:
    stage.google.script("text", text="x" * 40, count=1, cached_tokens=3, thoughts_tokens=7)
    prompt = "y" * 400
    for streamed in (False, True):
        [answer] = stage.ask(prompt, stream=streamed)
        stage.shows(answer["usage"], input=100, output=17, cached=3, thinking=7)


def bad_key(stage: Stage) -> None:
    refused(stage, "bad_key", 401, key="sk-" + "a" * 48)


def unknown_model(stage: Stage) -> None:
    error = refused(stage, "unknown_model", 404, model="no-such-model")
    assert "no-such-model" in error["message"]


def bad_request(stage: Stage) -> None:
    """Refused by the gateway, or by Google where the gateway passes the client's own words on."""
    error = stage.fail(HELLO, temperature=77.0)
    assert error["class"] == stage.client.errors["bad_request"]
    stage.shows(error, status=400)
    assert "temperature" in error["message"]


def quota(stage: Stage) -> None:
    """The default price of this model is 2: the second call finds 1 left."""
    poor = stage.gateway.key(3)
    stage.ask(HELLO, key=poor)
    refused(stage, "quota", 429, key=poor)
    assert stage.gateway.balance(poor)["remaining"] == 1


def overload(stage: Stage) -> None:
    """Google stays overloaded, before the first byte of an answer and of a stream."""
    stage.google.script("error", error="overload")
    errors = stage.client.errors
    expected = (errors["overload"], errors.get("streamed overload", errors["overload"]))
    for streamed in (False, True):
        error = stage.fail(HELLO, stream=streamed)
        stage.shows(error, status=stage.client.overload_status)
        assert error["class"] == expected[streamed]


def cancel(stage: Stage) -> None:
    """The client leaves its stream; the connection to Google is closed, not read to its end."""
    stage.google.script("text", text="word " * 400, count=400, interval_s=0.05)
    [answer] = stage.ask(HELLO, stream=True, leave_after=2)
    assert ("word " * 400).startswith(answer["text"])
    was_left(stage)


# ---------------------------------------------------------------------------- what they share


def calling(city: str) -> Json:
    return {"name": "get_weather", "args": {"city": city}}


def texts_of(turn: Json) -> str:
    return "".join(part.get("text", "") for part in turn["parts"])


def declarations(body: Json) -> list[Json]:
    return [one for tool in body["tools"] for one in tool.get("functionDeclarations", [])]


def saw_calls(stage: Stage, answer: Json, *cities: str) -> None:
    calls = answer["calls"]
    assert [(call["name"], call["arguments"]) for call in calls] == [
        ("get_weather", {"city": city}) for city in cities
    ]
    stage.shows(answer, finish="calls")
    ids = [call["id"] for call in calls]
    if "ids" in stage.client.hides:
        assert set(ids) == {None}
    else:
        assert all(ids)
        assert len(set(ids)) == len(cities)


def saw_results(stage: Stage, answer: Json, *cities: str) -> None:
    """Google got its calls back as it made them, signed, each with its result, in order."""
    asked, called, answered = stage.sent()["contents"]
    calls = [part for part in called["parts"] if "functionCall" in part]
    assert [part["functionCall"]["args"] for part in calls] == [{"city": city} for city in cities]
    assert calls[0]["thoughtSignature"] not in STAND_INS
    results = [part["functionResponse"] for part in answered["parts"]]
    assert [(result["name"], result["response"]) for result in results] == [
        ("get_weather", stage.client.wraps("get_weather", RESULTS[city])) for city in cities
    ]
    assert [result.get("id") for result in results] == [
        part["functionCall"].get("id") for part in calls
    ]
    for city in cities:
        assert f'"degrees": {RESULTS[city]["degrees"]}' in answer["text"]
    stage.shows(answer, finish="stop", calls=[])


def was_left(stage: Stage) -> None:
    [call] = stage.google.calls()
    stage.google.wait_disconnected(call, timeout_s=15)
    assert call.events_sent < 400


def refused(stage: Stage, case: str, status: int, **question: Any) -> Json:
    """Nothing reached Google but what the case asked for before."""
    before = len(stage.google.calls())
    error = stage.fail(HELLO, **question)
    assert error["class"] == stage.client.errors[case]
    stage.shows(error, status=status)
    assert len(stage.google.calls()) == before
    return error


ERRORS = ("bad_key", "unknown_model", "bad_request", "quota", "overload")
CASES = {
    case.__name__: case
    for case in (
        chat,
        stream,
        multi_turn,
        system,
        vision,
        tool,
        round_trip,
        parallel,
        streamed_tools,
        structured,
        reasoning,
        usage,
        bad_key,
        unknown_model,
        bad_request,
        quota,
        overload,
        cancel,
    )
}

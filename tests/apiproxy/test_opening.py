"""What variants make of upstream answers, in every dialect that streams."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from apiproxy.shaping import Site

MODEL = "gemini-2.5-flash"
FAKE, UNCUT = "假流式/", "流式抗截断/"
LONG = "Grüße aus 東京! " * 12
MARK = r"\[\[END:\w+\]\]"
CALL = {"name": "get_weather", "args": {"city": LONG}}


def data_of(exchange):
    lines = exchange.body.decode().split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


class Chat:
    name = "openai-chat"
    ends = {"STOP": "stop", "MAX_TOKENS": "length", "call": "tool_calls"}

    def request(self, model):
        messages = [{"role": "user", "content": "hello"}]
        tools = [{"type": "function", "function": {"name": "get_weather"}}]
        return "/v1/chat/completions", {
            "model": model,
            "messages": messages,
            "stream": True,
            "tools": tools,
        }

    def read(self, exchange):
        """(text, call arguments, ends)."""
        choices = [choice for event in data_of(exchange) for choice in event["choices"]]
        calls = [call for c in choices for call in c["delta"].get("tool_calls", [])]
        return (
            "".join(c["delta"].get("content") or "" for c in choices),
            [json.loads(call["function"]["arguments"]) for call in calls],
            [c["finish_reason"] for c in choices if c["finish_reason"]],
        )


class Responses:
    name = "openai-responses"
    ends = {"STOP": "completed", "MAX_TOKENS": "incomplete", "call": "completed"}

    def request(self, model):
        tools = [{"type": "function", "name": "get_weather", "parameters": None, "strict": False}]
        return "/v1/responses", {"model": model, "input": "hello", "stream": True, "tools": tools}

    def read(self, exchange):
        events = data_of(exchange)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
        calls = [
            json.loads(event["arguments"])
            for event in events
            if event["type"] == "response.function_call_arguments.done"
        ]
        whole = [
            part["text"]
            for item in events[-1]["response"]["output"]
            if item["type"] == "message"
            for part in item["content"]
        ]
        assert "".join(whole) == "".join(deltas)
        return "".join(deltas), calls, [events[-1]["response"]["status"]]


class Anthropic:
    name = "anthropic-messages"
    ends = {"STOP": "end_turn", "MAX_TOKENS": "max_tokens", "call": "tool_use"}

    def request(self, model):
        return "/v1/messages", {
            "model": model,
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": "hello"}],
            "stream": True,
            "tools": [{"name": "get_weather", "input_schema": {"type": "object"}}],
        }

    def read(self, exchange):
        events = data_of(exchange)
        assert events[-1]["type"] == "message_stop"
        deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
        arguments = "".join(d["partial_json"] for d in deltas if d["type"] == "input_json_delta")
        ends = [e["delta"]["stop_reason"] for e in events if e["type"] == "message_delta"]
        return (
            "".join(d["text"] for d in deltas if d["type"] == "text_delta"),
            [json.loads(arguments)] if arguments else [],
            ends,
        )


class Gemini:
    name = "gemini"
    ends = {"STOP": "STOP", "MAX_TOKENS": "MAX_TOKENS", "call": "STOP"}

    def request(self, model):
        return f"/v1beta/models/{model}:streamGenerateContent", {
            "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
            "tools": [{"functionDeclarations": [{"name": "get_weather"}]}],
        }

    def read(self, exchange):
        candidates = [c for reply in json.loads(exchange.body) for c in reply["candidates"]]
        parts = [p for c in candidates for p in c.get("content", {}).get("parts", [])]
        return (
            "".join(p.get("text", "") for p in parts if not p.get("thought")),
            [p["functionCall"]["args"] for p in parts if "functionCall" in p],
            [c["finishReason"] for c in candidates if "finishReason" in c],
        )


surfaces = pytest.mark.parametrize(
    "surface", [Chat(), Responses(), Anthropic(), Gemini()], ids=lambda one: one.name
)


async def streamed(edge, key, surface, model):
    path, body = surface.request(model)
    exchange = await edge.post(path, body, key=key.text)
    assert exchange.status == 200, exchange.body
    assert exchange.complete
    return exchange


@surfaces
async def test_a_whole_answer_as_a_stream(edge, fake, lent, key, surface):
    fake.script("thoughts", text=LONG)
    exchange = await streamed(edge, key, surface, f"{FAKE}{MODEL}")
    assert surface.read(exchange) == (LONG, [], [surface.ends["STOP"]])
    assert len(exchange.pieces) > 4
    [call] = fake.calls()
    assert not call.stream
    assert (await edge.receipt(exchange)).reason == "answered"
    assert await edge.proves()


@surfaces
async def test_a_whole_call_as_a_stream(edge, fake, lent, key, surface):
    fake.script("tool_call", calls=[CALL])
    exchange = await streamed(edge, key, surface, f"{FAKE}{MODEL}")
    assert surface.read(exchange) == ("", [CALL["args"]], [surface.ends["call"]])


@surfaces
async def test_an_answer_in_several_attempts(edge, fake, lent, key, surface):
    fake.script("thoughts", text="One ", finish_reason="MAX_TOKENS", times=1)
    fake.script("thoughts", text="two ", finish_reason="MAX_TOKENS", times=1)
    fake.script("thoughts", text="three.\n", quote=MARK)
    exchange = await streamed(edge, key, surface, f"{UNCUT}{MODEL}")
    assert surface.read(exchange) == ("One two three.", [], [surface.ends["STOP"]])
    assert b"END:" not in exchange.body
    receipt = await edge.receipt(exchange)
    assert receipt.reason == "answered (anti_truncation ×2)"
    assert (receipt.reserved_micros, receipt.settled_micros) == (4_000_000, 4_000_000)
    log = await edge.log(exchange)
    assert len(log.attempts) == 3
    assert (log.model, log.requested_model) == (MODEL, f"{UNCUT}{MODEL}")
    thoughts_sent = [
        part for call in fake.calls() for c in call.body["contents"] for part in c["parts"]
    ]
    assert not any(part.get("thought") for part in thoughts_sent)


@surfaces
async def test_both_at_once_up_to_the_last_attempt(edge, fake, lent, key, surface):
    fake.script("max_tokens", text="again and ")
    exchange = await streamed(edge, key, surface, f"{FAKE}{UNCUT}{MODEL}")
    assert surface.read(exchange) == ("again and " * 3, [], [surface.ends["MAX_TOKENS"]])
    assert [call.stream for call in fake.calls()] == [False] * 3


@surfaces
async def test_a_call_is_made_once(edge, fake, lent, key, surface):
    fake.script("tool_call", calls=[CALL], text="I look.")
    exchange = await streamed(edge, key, surface, f"{UNCUT}{MODEL}")
    assert surface.read(exchange) == ("I look.", [CALL["args"]], [surface.ends["call"]])
    assert len(fake.calls()) == 1


async def test_names_arrive_percent_decoded(edge, fake, lent, key):
    """Servers decode the path; what a client encoded twice is decoded too."""
    path = f"/v1beta/models/{quote(FAKE, safe='')}{MODEL}:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "hello"}]}]}
    exchange = await edge.post(path, body, key=key.text)
    assert exchange.status == 200
    assert not fake.calls()[0].stream


def configure(edge, monkeypatch, **changes):
    monkeypatch.setattr(edge.runtime, "config", replace(edge.runtime.config, **changes))


async def test_a_fake_stream_shows_life_early(edge, fake, lent, key, monkeypatch):
    configure(edge, monkeypatch, fake_stream_keepalive_s=0.05)
    fake.script("silence_headers", silence_s=0.4)
    exchange = await streamed(edge, key, Chat(), f"{FAKE}{MODEL}")
    assert exchange.pieces[:3] == [b": keep-alive\n\n"] * 3


@surfaces
async def test_a_site_that_sets_safety_and_has_no_system_instructions(
    edge, fake, lent, key, monkeypatch, surface
):
    site = Site(safety_default="BLOCK_NONE", compatibility=True, attempts=3)
    configure(edge, monkeypatch, site=site)
    fake.script("text", text="Hello.", quote=MARK)
    exchange = await streamed(edge, key, surface, f"{UNCUT}{MODEL}")
    assert surface.read(exchange) == ("Hello.", [], [surface.ends["STOP"]])
    [call] = fake.calls()
    assert "systemInstruction" not in call.body
    assert {one["threshold"] for one in call.body["safetySettings"]} == {"BLOCK_NONE"}
    assert len(call.body["safetySettings"]) == 5


@pytest.mark.parametrize(
    ("setting", "query", "shown"),
    [
        (False, "", False),
        (True, "", True),
        (False, "variants=1", True),
        (True, "variants=0", False),
    ],
)
async def test_variants_are_listed_where_they_are_wanted(
    edge, key, monkeypatch, setting, query, shown
):
    configure(edge, monkeypatch, list_variants=setting)
    headers = {"x-api-key": key.text, "anthropic-version": "2023-06-01"}
    name = f"{FAKE}{MODEL}-low"
    for given, entries, at in (
        ({"authorization": f"Bearer {key.text}"}, "data", "id"),
        (headers, "data", "id"),
        ({"x-goog-api-key": key.text}, "models", "name"),
    ):
        pages = f"{query}&limit=1000&pageSize=1000"
        listed = (await edge.get("/v1/models", headers=given, query=pages)).json[entries]
        names = [entry[at].removeprefix("models/") for entry in listed]
        assert MODEL in names
        assert (name in names) is shown
    one = await edge.get(f"/v1/models/{name}", headers=headers)
    assert (one.json["id"], one.json["display_name"]) == (name, name)

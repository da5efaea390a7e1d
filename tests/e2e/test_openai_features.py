"""Tools, pictures and structured output through the `openai` SDK."""

from __future__ import annotations

import json

import openai
import pydantic
import pytest

from tests.e2e.dialects import MODEL, both_upstreams, only_sqlite
from tests.e2e.media import DATA_URL, PNG_BASE64
from tests.fakes.google_signatures import STAND_INS

THIRD_GENERATION = "gemini-3-flash-preview"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
ASK_WEATHER = [{"role": "user", "content": "How is the weather?"}]


class Reply(pydantic.BaseModel):
    answer: str
    score: int


def forced(model=MODEL, **more):
    return {
        "model": model,
        "messages": ASK_WEATHER,
        "tools": [WEATHER],
        "tool_choice": "required",
        **more,
    }


def collected(stream):
    """The tool calls of a stream as a client puts them together, and its finish reason."""
    calls, finish = {}, None
    for chunk in stream:
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
                call["id"] = delta.id or call["id"]
                call["name"] += (delta.function and delta.function.name) or ""
                call["arguments"] += (delta.function and delta.function.arguments) or ""
    return [calls[index] for index in sorted(calls)], finish


def sent(google):
    body = google.calls()[-1].body
    return body.get("request", body)


def parts_sent(google):
    return [part for content in sent(google)["contents"] for part in content["parts"]]


@both_upstreams
def test_a_tool_is_called(gateway, chat, provider):
    gateway.lend(provider)
    choice = chat.chat.completions.create(**forced()).choices[0]
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


@both_upstreams
def test_a_streamed_call_is_the_same(gateway, chat, google, provider):
    gateway.lend(provider)
    google.script("call_then_stop", calls=[{"name": "get_weather", "args": {"city": "Zürich"}}])
    [call], finish = collected(chat.chat.completions.create(**forced(stream=True)))
    assert finish == "tool_calls"
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Zürich"})
    assert call["id"]


@pytest.mark.parametrize("stream", [False, True])
@both_upstreams
def test_parallel_calls_are_told_apart(gateway, chat, google, provider, stream):
    gateway.lend(provider)
    google.script(
        "parallel_calls",
        calls=[{"name": "get_weather", "args": {"city": c}} for c in ("Zürich", "東京")],
        spread=stream,
    )
    answer = chat.chat.completions.create(**forced(stream=stream))
    if stream:
        calls, finish = collected(answer)
        cities = [json.loads(call["arguments"])["city"] for call in calls]
        ids = {call["id"] for call in calls}
    else:
        calls, finish = answer.choices[0].message.tool_calls, answer.choices[0].finish_reason
        cities = [json.loads(call.function.arguments)["city"] for call in calls]
        ids = {call.id for call in calls}
    assert (cities, len(ids), finish) == (["Zürich", "東京"], 2, "tool_calls")


@pytest.mark.parametrize("stream", [False, True])
@both_upstreams
def test_a_round_trip_with_a_model_that_insists_on_signatures(
    gateway, chat, google, provider, stream
):
    """The client gives back what it got, as any client does; the upstream refuses a lost signature."""
    gateway.lend(provider)
    answer = chat.chat.completions.create(**forced(THIRD_GENERATION, stream=stream))
    if stream:
        calls, _ = collected(answer)
    else:
        calls = [
            {"id": c.id, "name": c.function.name, "arguments": c.function.arguments}
            for c in answer.choices[0].message.tool_calls
        ]
    [call] = calls
    function = {"name": call["name"], "arguments": call["arguments"]}
    history = [
        *ASK_WEATHER,
        {
            "role": "assistant",
            "tool_calls": [{"id": call["id"], "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call["id"], "content": '{"sky": "blue"}'},
    ]
    end = chat.chat.completions.create(model=THIRD_GENERATION, messages=history, tools=[WEATHER])
    assert 'get_weather said {"sky": "blue"}' in end.choices[0].message.content
    [signature] = [p["thoughtSignature"] for p in parts_sent(google) if "functionCall" in p]
    if gateway.workers == 1:
        assert signature not in STAND_INS


@only_sqlite
def test_a_history_from_elsewhere_is_taken_by_strict_models(gateway, chat, google):
    gateway.lend("gemini_api")
    function = {"name": "get_weather", "arguments": '{"city": "Bern"}'}
    messages = [
        *ASK_WEATHER,
        {
            "role": "assistant",
            "tool_calls": [{"id": "call_elsewhere", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_elsewhere", "content": "rain"},
    ]
    answer = chat.chat.completions.create(
        model=THIRD_GENERATION, messages=messages, tools=[WEATHER]
    )
    assert "get_weather said" in answer.choices[0].message.content


def picture(url):
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": url}},
            ],
        }
    ]


@both_upstreams
def test_a_picture_as_a_data_url(gateway, chat, google, provider):
    gateway.lend(provider)
    answer = chat.chat.completions.create(model=MODEL, messages=picture(DATA_URL))
    assert answer.choices[0].message.content == "You said: What is this?"
    inline = next(part["inlineData"] for part in parts_sent(google) if "inlineData" in part)
    assert inline == {"mimeType": "image/png", "data": PNG_BASE64}


@both_upstreams
@pytest.mark.parametrize("path", ["/picture", "/elsewhere?/picture"])
def test_a_picture_by_url_is_fetched_by_us(gateway, chat, google, image_hosts, provider, path):
    gateway.lend(provider)
    url = f"http://{image_hosts[0]}{path}"
    chat.chat.completions.create(model=MODEL, messages=picture(url))
    inline = next(part["inlineData"] for part in parts_sent(google) if "inlineData" in part)
    assert inline == {"mimeType": "image/png", "data": PNG_BASE64}


@only_sqlite
@pytest.mark.parametrize(
    "url",
    [
        "http://{denied}/picture",
        "http://{allowed}/elsewhere?http://{denied}/picture",
        "http://localhost:{denied_port}/picture",
        "http://[::1]:{denied_port}/picture",
        "http://169.254.169.254/latest/meta-data",
        "http://{allowed}/text",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_leads_inwards_is_refused_in_words(gateway, chat, google, image_hosts, url):
    gateway.lend("gemini_api")
    allowed, denied = image_hosts
    url = url.format(allowed=allowed, denied=denied, denied_port=denied.rpartition(":")[2])
    with pytest.raises(openai.BadRequestError, match="data: URL|data: nor") as caught:
        chat.chat.completions.create(model=MODEL, messages=picture(url))
    assert denied not in caught.value.message
    assert google.calls() == []
    assert gateway.balance(chat.api_key)["remaining"] == 1000


@both_upstreams
def test_json_mode(gateway, chat, google, provider):
    gateway.lend(provider)
    answer = chat.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "JSON please"}],
        response_format={"type": "json_object"},
    )
    assert json.loads(answer.choices[0].message.content) == {"answer": "You said: JSON please"}
    assert sent(google)["generationConfig"]["responseMimeType"] == "application/json"


@both_upstreams
@pytest.mark.parametrize("model", [MODEL, THIRD_GENERATION])
def test_parse_with_a_pydantic_model(gateway, chat, google, provider, model):
    gateway.lend(provider)
    google.script("json", json={"answer": "yes", "score": 7})
    answer = chat.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "?"}], response_format=Reply
    )
    assert answer.choices[0].message.parsed == Reply(answer="yes", score=7)


@both_upstreams
def test_parse_with_a_pydantic_tool(gateway, chat, provider):
    gateway.lend(provider)
    answer = chat.chat.completions.parse(
        model=MODEL,
        messages=ASK_WEATHER,
        tools=[openai.pydantic_function_tool(Reply)],
        tool_choice="required",
    )
    [call] = answer.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Reply)


@both_upstreams
async def test_the_stream_helper_of_the_sdk(gateway, async_chat, google, provider):
    gateway.lend(provider)
    google.script("json", json={"answer": "yes", "score": 7})
    async with async_chat.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "?"}], response_format=Reply
    ) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == Reply(answer="yes", score=7)


@only_sqlite
def test_citations(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("grounding")
    message = (
        chat.chat.completions.create(
            model=MODEL, messages=ASK_WEATHER, extra_body={"web_search_options": {}}
        )
        .choices[0]
        .message
    )
    assert [note.url_citation.title for note in message.annotations] == [
        "zuerich.example",
        "tokyo.example",
    ]
    second = message.annotations[1].url_citation
    cited = message.content[second.start_index : second.end_index]
    assert cited.strip() == "東京は日本の首都です。"


@only_sqlite
def test_a_drawn_picture_is_shown(gateway, chat):
    gateway.lend("gemini_api")
    answer = chat.chat.completions.create(model="gemini-2.5-flash-image", messages=ASK_WEATHER)
    assert f"](data:image/png;base64,{PNG_BASE64})" in answer.choices[0].message.content


@only_sqlite
def test_a_blocked_prompt_is_a_content_filter(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("blocked_prompt")
    answer = chat.chat.completions.create(model=MODEL, messages=ASK_WEATHER)
    assert answer.choices[0].finish_reason == "content_filter"
    assert gateway.balance(chat.api_key)["used"] == 0

"""/v1/responses through the unmodified `openai` SDK."""

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
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edit files",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'},
}
ENCRYPTED = ["reasoning.encrypted_content"]


class Reply(pydantic.BaseModel):
    answer: str
    score: int


def sent(google):
    body = google.calls()[-1].body
    return body.get("request", body)


def turns_sent(google):
    """(role, text) of every text part that went upstream last."""
    contents = sent(google)["contents"]
    return [(c["role"], p["text"]) for c in contents for p in c["parts"] if "text" in p]


def signatures_sent(google):
    parts = [part for content in sent(google)["contents"] for part in content["parts"]]
    return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]


@both_upstreams
def test_an_answer(gateway, chat, google, provider):
    gateway.lend(provider)
    options = {"instructions": "Be kind.", "reasoning": {"effort": "low"}}
    response = chat.responses.create(model=MODEL, input="hello", **options)
    assert response.output_text == "You said: hello"
    assert (response.status, response.model, response.store) == ("completed", MODEL, True)
    assert response.instructions == "Be kind."
    usage = response.usage
    assert usage.input_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens_details.reasoning_tokens > 0
    assert sent(google)["systemInstruction"] == {"parts": [{"text": "Be kind."}]}


@both_upstreams
def test_a_stream_ends_in_the_whole_answer(gateway, chat, provider):
    gateway.lend(provider)
    options = {"reasoning": {"summary": "auto"}, "stream": True}
    events = list(chat.responses.create(model=MODEL, input="hello", **options))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    done = events[-1]
    assert done.type == "response.completed"
    assert "".join(deltas) == done.response.output_text == "You said: hello"
    items = [e.item for e in events if e.type == "response.output_item.done"]
    assert items == done.response.output
    assert [item.type for item in items] == ["reasoning", "message"]
    assert done.response.usage.output_tokens > 0


@both_upstreams
async def test_the_stream_helper_of_the_sdk(gateway, async_chat, google, provider):
    gateway.lend(provider)
    google.script("json", json={"answer": "yes", "score": 7})
    async with async_chat.responses.stream(model=MODEL, input="?", text_format=Reply) as stream:
        seen = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_parsed == Reply(answer="yes", score=7)
    assert seen[-1] == "response.completed"


@both_upstreams
@pytest.mark.parametrize("model", [MODEL, THIRD_GENERATION])
def test_parse_with_a_pydantic_model(gateway, chat, google, provider, model):
    gateway.lend(provider)
    google.script("json", json={"answer": "yes", "score": 7})
    response = chat.responses.parse(model=model, input="?", text_format=Reply)
    assert response.output_parsed == Reply(answer="yes", score=7)
    assert sent(google)["generationConfig"]["responseJsonSchema"]["type"] == "object"


@pytest.mark.parametrize("stream", [False, True])
@both_upstreams
def test_parallel_calls_make_a_round_trip(gateway, chat, google, provider, stream):
    """The client gives all items back as it got them; the upstream insists on signatures and order."""
    gateway.lend(provider)
    google.script(
        "parallel_calls",
        calls=[{"name": "get_weather", "args": {"city": c}} for c in ("Zürich", "東京")],
        spread=stream,
        times=1,
    )
    options = {"model": THIRD_GENERATION, "tools": [WEATHER], "store": False, "include": ENCRYPTED}
    question = {"role": "user", "content": "How is the weather?"}
    if stream:
        with chat.responses.stream(input=[question], **options) as events:
            response = events.get_final_response()
    else:
        response = chat.responses.create(input=[question], **options)
    calls = [item for item in response.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Zürich", "東京"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"rain {number}"}
        for number, call in reversed(list(enumerate(calls)))
    ]
    items = [item.to_dict() for item in response.output]
    end = chat.responses.create(input=[question, *items, *results], **options)
    assert "get_weather said" in end.output_text
    [signature, *_] = signatures_sent(google)
    assert signature not in STAND_INS


@both_upstreams
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_of_free_text(gateway, chat, google, provider, stream):
    gateway.lend(provider)
    text = "*** Begin Patch\n+Grüße"
    google.script("tool_call", calls=[{"name": "apply_patch", "args": {"input": text}}], times=1)
    with_tools = {"model": MODEL, "tools": [PATCH]}
    if stream:
        with chat.responses.stream(input="Edit", **with_tools) as events:
            seen = list(events)
        response = seen[-1].response
        [done] = [e for e in seen if e.type == "response.custom_tool_call_input.done"]
        assert done.input == text
    else:
        response = chat.responses.create(input="Edit", **with_tools)
    call = response.output[-1]
    assert (call.type, call.name, call.input) == ("custom_tool_call", "apply_patch", text)
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "applied"}
    end = chat.responses.create(input=[result], previous_response_id=response.id, **with_tools)
    assert "apply_patch said" in end.output_text


@both_upstreams
def test_a_chain_of_responses(gateway, chat, google, provider):
    gateway.lend(provider)
    first = chat.responses.create(model=MODEL, input="one")
    second = chat.responses.create(model=MODEL, input="two", previous_response_id=first.id)
    with chat.responses.stream(
        model=MODEL, input="three", previous_response_id=second.id
    ) as stream:
        third = stream.get_final_response()
    assert turns_sent(google) == [
        ("user", "one"),
        ("model", "You said: one"),
        ("user", "two"),
        ("model", "You said: two"),
        ("user", "three"),
    ]
    assert third.previous_response_id == second.id
    chat.responses.create(model=MODEL, input="four", previous_response_id=third.id)
    assert len(turns_sent(google)) == 7


def test_a_response_is_read_and_deleted(gateway, chat):
    gateway.lend("gemini_api")
    created = chat.responses.create(model=MODEL, input="one", metadata={"a": "b"})
    read = chat.responses.retrieve(created.id)
    assert read.output_text == created.output_text
    assert read.metadata == {"a": "b"}
    [item] = chat.responses.input_items.list(created.id)
    assert item.content[0].text == "one"
    with pytest.raises(openai.BadRequestError, match="background"):
        chat.responses.cancel(created.id)
    stranger = chat.with_options(api_key=gateway.key())
    with pytest.raises(openai.NotFoundError):
        stranger.responses.retrieve(created.id)
    chat.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        chat.responses.retrieve(created.id)
    with pytest.raises(openai.BadRequestError) as caught:
        chat.responses.create(model=MODEL, input="two", previous_response_id=created.id)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


@only_sqlite
def test_a_picture_and_a_file(gateway, chat, google, image_hosts):
    gateway.lend("gemini_api")
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
        {"type": "input_image", "image_url": f"http://{image_hosts[0]}/picture"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
    ]
    response = chat.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    assert response.output_text == "You said: What is this?"
    [turn] = sent(google)["contents"]
    assert [part["inlineData"]["data"] for part in turn["parts"][1:]] == [
        PNG_BASE64,
        PNG_BASE64,
        "aGk=",
    ]


@pytest.mark.parametrize("stream", [False, True])
@only_sqlite
def test_reasoning_makes_a_round_trip_without_a_store(gateway, chat, google, stream):
    gateway.lend("gemini_api")
    options = {
        "model": THIRD_GENERATION,
        "store": False,
        "include": ENCRYPTED,
        "reasoning": {"effort": "high", "summary": "auto"},
    }
    google.script("thoughts", thoughts="I should greet.", text="Hello", times=1)
    if stream:
        with chat.responses.stream(input="Hi", **options) as events:
            response = events.get_final_response()
    else:
        response = chat.responses.create(input="Hi", **options)
    thought = response.output[0]
    assert thought.summary[0].text == "I should greet."
    assert response.output_text == "Hello"
    assert all(item.encrypted_content for item in response.output if item.type == "reasoning")
    items = [item.to_dict() for item in response.output]
    chat.responses.create(
        input=[{"role": "user", "content": "Hi"}, *items, {"role": "user", "content": "Go on"}],
        **options,
    )
    [signature] = signatures_sent(google)
    assert signature not in STAND_INS
    assert [text for _, text in turns_sent(google) if text] == ["Hi", "Hello", "Go on"]


@only_sqlite
def test_a_drawn_picture(gateway, chat):
    gateway.lend("gemini_api")
    response = chat.responses.create(model="gemini-2.5-flash-image", input="Draw")
    [drawn] = [item for item in response.output if item.type == "image_generation_call"]
    assert (drawn.result, drawn.status) == (PNG_BASE64, "completed")


@only_sqlite
def test_citations(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("grounding")
    options = {"model": MODEL, "input": "News?", "tools": [{"type": "web_search"}]}
    whole = chat.responses.create(**options)
    with chat.responses.stream(**options) as stream:
        streamed = stream.get_final_response()
    for response in (whole, streamed):
        [message] = [item for item in response.output if item.type == "message"]
        [content] = message.content
        notes = content.annotations
        assert [note.title for note in notes] == ["zuerich.example", "tokyo.example"]
        cited = content.text[notes[1].start_index : notes[1].end_index]
        assert cited.strip() == "東京は日本の首都です。"


@pytest.mark.parametrize("stream", [False, True])
@only_sqlite
def test_an_answer_that_is_cut_is_incomplete(gateway, chat, google, stream):
    gateway.lend("gemini_api")
    google.script("max_tokens", text="Once upon")
    if stream:
        response = list(chat.responses.create(model=MODEL, input="Tell", stream=True))[-1].response
    else:
        response = chat.responses.create(model=MODEL, input="Tell")
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == "Once upon"


@only_sqlite
def test_a_blocked_prompt_is_a_refusal_and_free(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("blocked_prompt")
    response = chat.responses.create(model=MODEL, input="?")
    assert response.incomplete_details.reason == "content_filter"
    assert response.output[0].content[0].type == "refusal"
    with chat.responses.stream(model=MODEL, input="?") as stream:
        last = list(stream)[-1]
    assert last.response.output[0].content[0].refusal
    assert gateway.balance(chat.api_key)["used"] == 0


@only_sqlite
def test_a_stream_that_breaks_fails(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("error_middle", text="one two three four", count=4)
    events = list(chat.responses.create(model=MODEL, input="?", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
    assert [e.sequence_number for e in events] == list(range(len(events)))
    with pytest.raises(openai.NotFoundError):
        chat.responses.retrieve(events[0].response.id)


@only_sqlite
class TestErrors:
    def test_400_names_the_field(self, chat):
        for fields, param in (
            ({"background": True}, "background"),
            ({"extra_body": {"conversation": "conv_1"}}, "conversation"),
            ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                chat.responses.create(**{"model": MODEL, "input": "hi"} | fields)
            assert caught.value.param == param

    def test_401_404_and_503(self, gateway, chat):
        gateway.lend()
        with pytest.raises(openai.AuthenticationError):
            chat.with_options(api_key="sk-wrong").responses.create(model=MODEL, input="hi")
        with pytest.raises(openai.NotFoundError) as caught:
            chat.responses.create(model="gpt-unknown", input="hi")
        assert caught.value.code == "model_not_found"
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as caught:
                chat.responses.create(model=MODEL, input="hi", stream=stream)
            assert caught.value.status_code == 503

    def test_429_for_an_exhausted_quota(self, gateway, chat):
        gateway.lend("gemini_api")
        poor = chat.with_options(api_key=gateway.key(3))
        poor.responses.create(model=MODEL, input="hi")
        with pytest.raises(openai.RateLimitError) as caught:
            poor.responses.create(model=MODEL, input="hi")
        assert caught.value.code == "insufficient_quota"


@only_sqlite
def test_a_client_that_leaves_closes_the_upstream(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("slow", text="word " * 400, count=200, interval_s=0.05)
    stream = chat.responses.create(model=MODEL, input="hello", stream=True)
    next(event for event in stream if event.type == "response.output_text.delta")
    stream.close()
    [call] = google.calls()
    google.wait_disconnected(call)
    assert call.events_sent < 200

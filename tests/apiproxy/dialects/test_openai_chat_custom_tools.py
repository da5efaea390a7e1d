"""Tools of free text in Chat Completions: functions of one string upstream, custom calls to the client."""

import json

from openai.types.chat import ChatCompletion

from apiproxy.dialects import openai_chat
from apiproxy.dialects.tools import custom_input
from apiproxy.wire.types import Usage
from tests.apiproxy.dialects.schemas import accepted
from tests.apiproxy.dialects.support import chat, parse

PATCH = {
    "type": "custom",
    "custom": {
        "name": "apply patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
    },
}
PLAIN = {"type": "function", "function": {"name": "f"}}


def reply(name, args):
    part = {"functionCall": {"id": "c1", "name": name, "args": args}}
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [part]}, "index": 0, "finishReason": "STOP"}
        ]
    }


def test_it_is_offered_as_a_function_of_one_string():
    call = parse(chat(tools=[PATCH, PLAIN]))
    [tool] = call.body["tools"]
    first, second = tool["functionDeclarations"]
    assert first["name"] == "apply_patch"
    assert first["description"] == "Edits files."
    text = first["parametersJsonSchema"]["properties"]["input"]
    assert text["type"] == "string"
    assert text["description"].endswith("lark grammar:\nstart: x")
    assert first["parametersJsonSchema"]["required"] == ["input"]
    accepted(declaration=first)
    assert second == {"name": "f"}
    assert call.custom_tools == {"apply_patch"}
    assert [text.partition(":")[0] for text in call.dropped] == ["tools[0].custom.format"]


def test_it_can_be_chosen():
    for choice in (
        {"type": "custom", "custom": {"name": "apply patch"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "custom", "custom": {"name": "apply patch"}}],
            },
        },
    ):
        call = parse(chat(tools=[PATCH, PLAIN], tool_choice=choice))
        assert call.body["toolConfig"]["functionCallingConfig"] == {
            "mode": "ANY",
            "allowedFunctionNames": ["apply_patch"],
        }


def test_its_calls_come_back_from_a_history():
    made = {"id": "c1", "type": "custom", "custom": {"name": "apply patch", "input": '{"a": 1}'}}
    call = parse(
        chat(
            messages=[
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": None, "tool_calls": [made]},
                {"role": "tool", "tool_call_id": "c1", "content": "done"},
            ],
            tools=[PATCH],
        )
    )
    _, model, user = call.body["contents"]
    assert model["parts"][0]["functionCall"] == {
        "id": "c1",
        "name": "apply_patch",
        "args": {"input": '{"a": 1}'},
    }
    assert user["parts"][0]["functionResponse"]["name"] == "apply_patch"


def test_an_answer_calls_it_with_text():
    call = parse(chat(tools=[PATCH]))
    body = openai_chat.render(call, [reply("apply_patch", {"input": "*** Begin"})])
    [choice] = ChatCompletion.model_validate(json.loads(body)).choices
    assert choice.finish_reason == "tool_calls"
    [made] = choice.message.tool_calls
    assert made.type == "custom"
    assert (made.custom.name, made.custom.input) == ("apply patch", "*** Begin")


def test_a_stream_says_the_same_as_the_whole_answer():
    call = parse(chat(tools=[PATCH, PLAIN], stream=True))
    replies = [reply("apply_patch", {"input": "x"})]
    stream = openai_chat.stream(call)
    said = b"".join([*map(stream.feed, replies), stream.close(Usage())]).decode()
    events = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: {")]
    deltas = [event["choices"][0]["delta"] for event in events]
    [streamed] = [made for delta in deltas for made in delta.get("tool_calls", ())]
    [whole] = json.loads(openai_chat.render(call, replies))["choices"][0]["message"]["tool_calls"]
    assert streamed == {"index": 0, **whole}


def test_input_that_strayed_is_not_lost():
    assert custom_input({"input": "a"}) == "a"
    assert custom_input({"patch": "a"}) == '{"patch":"a"}'
    assert custom_input({}) == "{}"
    assert custom_input(None) == "{}"

import re

import pytest

from apiproxy.dialects import DIALECTS
from apiproxy.dialects.function_names import FunctionNames
from apiproxy.dialects.schema import clean
from apiproxy.wire import codec
from tests.apiproxy.dialects.support import parse

NAMES = ["获取天气", "get weather", "1st", "a.b:c-d", "x" * 100, "a/b", "a b"]
ACCEPTED = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
SCHEMA = {
    "type": "object",
    "properties": {"when": {"type": "integer", "multipleOf": 5}, "strict": {"type": "boolean"}},
    "required": ["when"],
}


def chat_request(names):
    tools = [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in names]
    return {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "a"}],
        "tools": tools,
        "tool_choice": {"type": "function", "function": {"name": names[0]}},
    }


def responses_request(names):
    tools = [{"type": "function", "name": name, "parameters": SCHEMA} for name in names]
    return {
        "model": "gemini-2.5-flash",
        "input": "a",
        "tools": tools,
        "tool_choice": {"type": "function", "name": names[0]},
    }


def messages_request(names):
    return {
        "model": "gemini-2.5-flash",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "a"}],
        "tools": [{"name": name, "input_schema": SCHEMA} for name in names],
        "tool_choice": {"type": "tool", "name": names[0]},
    }


REQUESTS = {
    "openai-chat": chat_request,
    "openai-responses": responses_request,
    "anthropic-messages": messages_request,
}
OFFERING = pytest.mark.parametrize("dialect", REQUESTS)


@OFFERING
def test_names_are_changed_and_can_be_undone(dialect):
    call = parse(REQUESTS[dialect](NAMES), dialect)
    declared = [f["name"] for f in call.body["tools"][0]["functionDeclarations"]]
    assert all(ACCEPTED.fullmatch(name) for name in declared)
    assert [call.function_names.get(name, name) for name in declared] == NAMES
    forced = call.body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"]
    assert forced == declared[:1]


@OFFERING
def test_answers_call_functions_by_the_clients_names(dialect):
    call = parse(REQUESTS[dialect](NAMES), dialect)
    declared = [f["name"] for f in call.body["tools"][0]["functionDeclarations"]]
    parts = [
        {"functionCall": {"id": f"c{n}", "name": name, "args": {}}}
        for n, name in enumerate(declared)
    ]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    said = DIALECTS[dialect].render(call, [{"candidates": [candidate]}])
    assert all(codec.dumps(name) in said for name in NAMES)


@OFFERING
def test_what_a_schema_loses_is_told(dialect):
    call = parse(REQUESTS[dialect](["f"]), dialect)
    at = "tools[0]" + (".function" if dialect == "openai-chat" else "")
    field = "input_schema" if dialect == "anthropic-messages" else "parameters"
    told = f"{at}.{field}.properties.when: multipleOf 5 is not enforced"
    assert call.dropped == [told]
    [declaration] = call.body["tools"][0]["functionDeclarations"]
    assert declaration["parametersJsonSchema"] == clean(SCHEMA, "p")


def test_names_that_all_become_one_stay_cheap():
    """Counted from the start for each they would take fifty million steps, and the test its time-out."""
    names = FunctionNames()
    changed = {names.upstream("名" * length) for length in range(1, 10_000)}
    assert len(changed) == 9_999

"""Responses requests that are wrong, and what is echoed and stored of those that are right."""

import pytest

from apiproxy.dialects.openai_responses_request import Recalled
from apiproxy.dialects.openai_responses_request import parse as parse_recalled
from apiproxy.dialects.openai_responses_stored import references
from gateway.lib.errors import InvalidRequest, UnknownModel
from tests.apiproxy.dialects.support import HEAD, parse, resolve

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


def request(**fields):
    return {"model": "gemini-2.5-flash", "input": "Hi", **fields}


def item(**fields):
    return request(input=[{"role": "user", "content": "Hi"}, fields])


def content(**part):
    return request(input=[{"role": "user", "content": [part]}])


def responses(body, recalled=None):
    return parse_recalled(body, HEAD, resolve, recalled)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        (request(model=""), "model"),
        (request(input=None), "input"),
        (request(input=[]), "input"),
        (request(input=["x"]), "input[0]"),
        (request(instructions=["x"]), "instructions"),
        (request(background=True), "background"),
        (request(conversation="conv_1"), "conversation"),
        (request(previous_response_id=7), "previous_response_id"),
        (request(stream="yes"), "stream"),
        (request(store="no"), "store"),
        (request(include="x"), "include"),
        (request(include=[1]), "include[0]"),
        (request(metadata={"a": 1}), "metadata.a"),
        (request(truncation="some"), "truncation"),
        (request(max_tool_calls=0), "max_tool_calls"),
        (request(max_output_tokens=0), "max_output_tokens"),
        (request(temperature=3), "temperature"),
        (request(top_logprobs=21), "top_logprobs"),
        (request(user=7), "user"),
        (request(stream_options=[]), "stream_options"),
        (request(parallel_tool_calls="x"), "parallel_tool_calls"),
        (request(reasoning={"effort": "hard"}), "reasoning.effort"),
        (request(text={"format": {"type": "xml"}}), "text.format.type"),
        (
            request(text={"format": {"type": "json_schema", "schema": []}}),
            "text.format.schema",
        ),
        (request(tools={}), "tools"),
        (request(tools=[{}]), "tools[0].type"),
        (request(tools=[{"type": "function"}]), "tools[0].name"),
        (request(tools=[WEATHER, {"type": "custom", "name": "get_weather"}]), "tools[1].name"),
        (
            request(tools=[{"type": "custom", "name": "a", "format": {"type": "x"}}]),
            "tools[0].format.type",
        ),
        (
            request(tools=[{"type": "namespace", "name": "a", "tools": [{"type": "function"}]}]),
            "tools[0].tools[0].name",
        ),
        (request(tool_choice="maybe"), "tool_choice"),
        (request(tool_choice={"type": "function", "name": "x"}), "tool_choice.name"),
        (request(tool_choice={"type": "allowed_tools", "mode": "auto"}), "tool_choice.tools"),
        (request(tool_choice={"type": "allowed_tools", "mode": "none"}), "tool_choice.mode"),
        (item(), "input[1].type"),
        (item(type=7), "input[1].type"),
        (item(role="robot", content="x"), "input[1].role"),
        (item(role="user", content=7), "input[1].content"),
        (
            item(
                role="system",
                content=[{"type": "input_image", "image_url": "data:image/png;base64,eA=="}],
            ),
            "input[1].content",
        ),
        (item(type="function_call", call_id="a", arguments="{}"), "input[1].name"),
        (item(type="function_call", name="a", arguments={}), "input[1].arguments"),
        (item(type="function_call_output", output="x"), "input[1].call_id"),
        (item(type="function_call_output", call_id="a", output=7), "input[1].output"),
        (item(type="custom_tool_call", name="a", call_id="a"), "input[1].input"),
        (item(type="shell_call", call_id="a"), "input[1].action"),
        (item(type="reasoning", encrypted_content=7), "input[1].encrypted_content"),
        (item(type="image_generation_call", result="%"), "input[1].result"),
        (item(type="additional_tools", tools="x"), "input[1].tools"),
        (content(type="x"), "input[0].content[0].type"),
        (content(type="input_text"), "input[0].content[0].text"),
        (content(type="input_image", file_id="file_1"), "input[0].content[0].file_id"),
        (content(type="input_image", image_url="ftp://x"), "input[0].content[0].image_url"),
        (content(type="input_file", file_data="eA=="), "input[0].content[0].filename"),
        (content(type="input_audio", input_audio={}), "input[0].content[0].input_audio.format"),
    ],
)
def test_a_malformed_request_is_refused_by_its_field(body, param):
    with pytest.raises(InvalidRequest) as raised:
        responses(body)
    assert raised.value.param == param


def test_an_unknown_model():
    with pytest.raises(UnknownModel):
        responses(request(model="nonsense"))


def test_what_was_asked_is_echoed():
    call = responses(
        request(
            instructions="Be brief.",
            temperature=0.5,
            tools=[WEATHER],
            tool_choice="required",
            reasoning={"effort": "low"},
            text={"verbosity": "low"},
            service_tier="priority",
        )
    )
    echo = call.responses.echo
    assert (echo["instructions"], echo["temperature"], echo["top_p"]) == ("Be brief.", 0.5, None)
    assert (echo["tools"], echo["tool_choice"]) == ([WEATHER], "required")
    assert echo["reasoning"] == {"effort": "low", "summary": None}
    assert echo["text"] == {"verbosity": "low", "format": {"type": "text"}}
    assert echo["service_tier"] == "priority"
    assert call.dropped == ["text.verbosity"]


@pytest.mark.parametrize(
    ("reasoning", "config"),
    [
        (None, None),
        ({}, {"includeThoughts": True}),
        ({"summary": "auto"}, {"includeThoughts": True}),
        ({"effort": "low"}, {"includeThoughts": True, "thinkingBudget": 1024}),
        ({"effort": "none"}, {"includeThoughts": False, "thinkingBudget": 0}),
    ],
)
def test_reasoning_is_shown_to_those_that_speak_of_it(reasoning, config):
    call = responses(request(reasoning=reasoning))
    assert call.body.get("generationConfig", {}).get("thinkingConfig") == config


@pytest.mark.parametrize(
    ("fields", "encrypted", "signatures"),
    [
        ({}, False, False),
        ({"store": True}, False, False),
        ({"store": False}, True, False),
        ({"include": ["reasoning.encrypted_content"]}, True, True),
    ],
)
def test_when_reasoning_is_encrypted(fields, encrypted, signatures):
    details = responses(request(**fields)).responses
    assert (details.encrypted, details.signatures) == (encrypted, signatures)


class TestStore:
    def test_is_the_default(self):
        call = responses(request())
        assert call.kept.id == "resp_0042"
        assert call.kept.input == [{"role": "user", "content": "Hi"}]
        assert call.responses.echo["store"] is True

    def test_is_left_when_the_client_says_so_or_the_site_has_none(self):
        for call in (
            responses(request(store=False)),
            responses(request(), Recalled(stores=False)),
        ):
            assert call.kept is None
            assert call.responses.echo["store"] is False

    def test_is_refused_where_the_site_has_none(self):
        with pytest.raises(InvalidRequest, match="stores no responses") as raised:
            responses(request(store=True), Recalled(stores=False))
        assert raised.value.param == "store"

    def test_holds_all_a_continuation_needs(self):
        history = [
            {"role": "user", "content": "a"},
            {"type": "message", "role": "assistant", "content": "b"},
        ]
        referred = {"id": "msg_1_0", "type": "message", "role": "assistant", "content": "c"}
        given = [{"type": "item_reference", "id": "msg_1_0"}, {"role": "user", "content": "d"}]
        recalled = Recalled(history=history, items={"msg_1_0": referred})
        call = responses(request(input=given, previous_response_id="resp_1"), recalled)
        assert call.kept.input == [*history, referred, given[1]]
        texts = [part["text"] for turn in call.body["contents"] for part in turn["parts"]]
        assert texts == ["a", "b", "c", "d"]

    def test_a_response_may_be_continued_without_new_input(self):
        recalled = Recalled(history=[{"role": "user", "content": "a"}])
        call = responses(request(input=None, previous_response_id="resp_1"), recalled)
        assert call.body["contents"] == [{"role": "user", "parts": [{"text": "a"}]}]

    def test_errors_count_only_the_input_of_this_request(self):
        recalled = Recalled(history=[{"role": "user", "content": "a"}] * 3)
        with pytest.raises(InvalidRequest) as raised:
            responses(request(input=[{"role": "x"}], previous_response_id="resp_1"), recalled)
        assert raised.value.param == "input[0].role"


def test_a_carried_tool_that_is_known_stays_as_it_is():
    carried = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    body = request(
        tools=[{**WEATHER, "description": "first"}],
        input=[{"role": "user", "content": "Hi"}, carried],
    )
    [offered] = responses(body).body["tools"]
    assert [f["description"] for f in offered["functionDeclarations"]] == ["first"]


def test_the_dialect_itself_parses_without_a_store():
    assert parse(request(), "openai-responses").kept is not None


@pytest.mark.parametrize("kind", [{"type": "item_reference"}, {"type": None}, {}])
def test_a_reference_needs_no_type(kind):
    said = {"type": "message", "role": "assistant", "content": "Hello"}
    body = request(
        input=[
            {"role": "user", "content": "Hi"},
            {"id": "msg_1_0", **kind},
            {"role": "user", "content": "Go"},
        ]
    )
    assert list(references(body)) == [("input[1].id", "msg_1_0")]
    call = responses(body, Recalled(items={"msg_1_0": said}))
    assert call.body["contents"][1] == {"role": "model", "parts": [{"text": "Hello"}]}


def test_a_result_may_name_its_tool_instead_of_the_call():
    call = responses(item(type="function_call_output", name="look", output="42"))
    assert call.body["contents"][0]["parts"][1] == {"text": '[Result of look] {"result":"42"}'}


def test_a_picture_comes_back_in_its_own_format():
    drawn = {"type": "image_generation_call", "id": "ig_1_0", "status": "completed"}
    call = responses(item(**drawn, result="aGk=", output_format="jpeg"))
    picture = call.body["contents"][0]["parts"][1]
    assert picture == {"inlineData": {"mimeType": "image/jpeg", "data": "aGk="}}


def test_what_agents_tell_each_other_is_read():
    """Coding tools with several agents hand tasks and results around in such items."""
    parts = [
        {"type": "input_text", "text": "Look."},
        {"type": "encrypted_content", "encrypted_content": "gAAA"},
    ]
    call = responses(item(type="agent_message", author="root", recipient="a", content=parts))
    texts = [part["text"] for part in call.body["contents"][0]["parts"]]
    assert texts == ["Hi", "[Message from root]", "Look."]
    assert call.dropped == ["input: encrypted_content"]

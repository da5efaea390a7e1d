import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.dialects import openai_chat
from apiproxy.wire import codec
from gateway.lib.errors import GatewayError, InvalidRequest
from tests.apiproxy.dialects.support import HEAD, chat, parse, resolve


def message(**fields):
    return chat(messages=[fields])


def part(**fields):
    return message(role="user", content=[fields])


def assistant_call(**fields):
    return message(role="assistant", tool_calls=[fields])


def offered(**fields):
    return chat(tools=[{"type": "function", "function": {"name": "f", **fields}}])


def custom(**fields):
    return chat(tools=[{"type": "custom", "custom": {"name": "f", **fields}}])


def chosen(choice):
    return offered() | {"tool_choice": choice}


def google(**fields):
    return chat(extra_body={"google": fields})


CONTENT = "messages[0].content[0]"
CALL = "messages[0].tool_calls[0]"
NESTED = {}
for _ in range(200):
    NESTED = {"items": NESTED}

MALFORMED = [
    ([], None),
    ("text", None),
    (None, None),
    ({}, "model"),
    (chat(model=None), "model"),
    (chat(model=7), "model"),
    (chat(model="  "), "model"),
    (chat(messages=None), "messages"),
    (chat(messages={}), "messages"),
    (chat(messages=[]), "messages"),
    (chat(messages=["Hi"]), "messages[0]"),
    (message(content="Hi"), "messages[0].role"),
    (message(role="robot", content="Hi"), "messages[0].role"),
    (message(role=["user"], content="Hi"), "messages[0].role"),
    (message(role="user"), "messages[0].content"),
    (message(role="user", content=5), "messages[0].content"),
    (message(role="system", content=None), "messages[0].content"),
    (
        message(role="system", content=[{"type": "image_url", "image_url": "data:,a"}]),
        "messages[0].content",
    ),
    (message(role="user", content=["Hi"]), CONTENT),
    (part(text="Hi"), f"{CONTENT}.type"),
    (part(type="hologram"), f"{CONTENT}.type"),
    (part(type=["text"]), f"{CONTENT}.type"),
    (part(type="text"), f"{CONTENT}.text"),
    (part(type="text", text=5), f"{CONTENT}.text"),
    (part(type="refusal"), f"{CONTENT}.refusal"),
    (part(type="image_url"), f"{CONTENT}.image_url"),
    (part(type="image_url", image_url={}), f"{CONTENT}.image_url.url"),
    (part(type="image_url", image_url={"url": 5}), f"{CONTENT}.image_url.url"),
    (part(type="image_url", image_url={"url": "ftp://a/b"}), f"{CONTENT}.image_url.url"),
    (part(type="image_url", image_url={"url": "file:///etc/passwd"}), f"{CONTENT}.image_url.url"),
    (part(type="image_url", image_url={"url": "https://[half"}), f"{CONTENT}.image_url.url"),
    (part(type="image_url", image_url={"url": "https://"}), f"{CONTENT}.image_url.url"),
    (part(type="image_url", image_url={"url": "data:image/png"}), f"{CONTENT}.image_url.url"),
    (
        part(type="image_url", image_url={"url": "data:image/png;base64,%%%"}),
        f"{CONTENT}.image_url.url",
    ),
    (
        part(type="image_url", image_url={"url": "data:image/png;base64,"}),
        f"{CONTENT}.image_url.url",
    ),
    (part(type="input_audio", input_audio="x"), f"{CONTENT}.input_audio"),
    (part(type="input_audio", input_audio={"data": "AA=="}), f"{CONTENT}.input_audio.format"),
    (
        part(type="input_audio", input_audio={"data": "AA==", "format": "midi"}),
        f"{CONTENT}.input_audio.format",
    ),
    (
        part(type="input_audio", input_audio={"data": "é", "format": "wav"}),
        f"{CONTENT}.input_audio.data",
    ),
    (part(type="file", file={"file_id": "file-1"}), f"{CONTENT}.file.file_id"),
    (part(type="file", file={"filename": "a.pdf"}), f"{CONTENT}.file.file_data"),
    (part(type="file", file={"file_data": "AA=="}), f"{CONTENT}.file.filename"),
    (
        part(type="file", file={"file_data": "AA==", "filename": "a.exe"}),
        f"{CONTENT}.file.filename",
    ),
    (part(type="file", file={"file_data": "AA==", "filename": 5}), f"{CONTENT}.file.filename"),
    (part(type="video_url", video_url={"url": "gs://b/o"}), f"{CONTENT}.video_url.url"),
    (message(role="assistant", content=5), "messages[0].content"),
    (message(role="assistant", refusal=5), "messages[0].refusal"),
    (message(role="assistant", tool_calls={}), "messages[0].tool_calls"),
    (message(role="assistant", tool_calls=["f"]), CALL),
    (assistant_call(id=5, function={"name": "f"}), f"{CALL}.id"),
    (assistant_call(id="c"), f"{CALL}.function"),
    (assistant_call(id="c", function={}), f"{CALL}.function.name"),
    (assistant_call(id="c", function={"name": "f", "arguments": 5}), f"{CALL}.function.arguments"),
    (
        assistant_call(id="c", function={"name": "f"}, extra_content={"google": 5}),
        f"{CALL}.extra_content.google",
    ),
    (
        assistant_call(
            id="c", function={"name": "f"}, extra_content={"google": {"thought_signature": 5}}
        ),
        f"{CALL}.extra_content.google.thought_signature",
    ),
    (message(role="assistant", function_call="f"), "messages[0].function_call"),
    (message(role="tool", content="x"), "messages[0].tool_call_id"),
    (message(role="tool", tool_call_id="c", content=5), "messages[0].content"),
    (message(role="function", name=5, content="x"), "messages[0].name"),
    (chat(tools={}), "tools"),
    (chat(tools=["f"]), "tools[0]"),
    (chat(tools=[{}]), "tools[0].type"),
    (chat(tools=[{"type": "wizard", "wizard": {"name": "f"}}]), "tools[0].type"),
    (chat(tools=[{"type": "custom", "custom": {}}]), "tools[0].custom.name"),
    (custom(format={"type": "odd"}), "tools[0].custom.format.type"),
    (
        custom(format={"type": "grammar", "grammar": {"syntax": "lark"}}),
        "tools[0].custom.format.grammar.definition",
    ),
    (
        chat(
            messages=[
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f"}}],
                }
            ]
        ),
        "messages[0].tool_calls[0].custom.input",
    ),
    (chat(tools=[{"type": ["function"]}]), "tools[0].type"),
    (chat(tools=[{"type": "function"}]), "tools[0].function"),
    (offered(name=""), "tools[0].function.name"),
    (offered(description=5), "tools[0].function.description"),
    (offered(parameters="object"), "tools[0].function.parameters"),
    (
        offered(parameters={"properties": {"a": "string"}}),
        "tools[0].function.parameters.properties.a",
    ),
    (
        offered(parameters={"anyOf": [{"type": "string"}, 5]}),
        "tools[0].function.parameters.anyOf[1]",
    ),
    (offered(parameters=NESTED), "tools[0].function.parameters" + ".items" * 61),
    (chat(functions=[5]), "functions[0]"),
    (chat(functions=[{"name": "f"}, {"name": "f"}]), "functions[1].name"),
    (chosen("sometimes"), "tool_choice"),
    (chosen(5), "tool_choice"),
    (chosen({"type": "magic"}), "tool_choice.type"),
    (chosen({"type": "function"}), "tool_choice.function"),
    (chosen({"type": "function", "function": {"name": "g"}}), "tool_choice.function.name"),
    (
        chosen({"type": "allowed_tools", "allowed_tools": {"tools": []}}),
        "tool_choice.allowed_tools.mode",
    ),
    (
        chosen({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
        "tool_choice.allowed_tools.tools",
    ),
    (
        chosen({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}),
        "tool_choice.tools[0].name",
    ),
    (offered() | {"function_call": {"name": "g"}}, "function_call.name"),
    (chat(web_search_options=True), "web_search_options"),
    (chat(temperature="hot"), "temperature"),
    (chat(temperature=True), "temperature"),
    (chat(temperature=2.1), "temperature"),
    (chat(temperature=float("nan")), "temperature"),
    (chat(top_p=-0.1), "top_p"),
    (chat(top_k=1.5), "top_k"),
    (chat(seed="x"), "seed"),
    (chat(seed=2**70), "seed"),
    (chat(max_tokens=0), "max_tokens"),
    (chat(max_completion_tokens="9"), "max_completion_tokens"),
    (chat(n=0), "n"),
    (chat(n=9), "n"),
    (chat(n=2, model="gemini-3-flash-preview"), "n"),
    (chat(stop=5), "stop"),
    (chat(stop=["a", 5]), "stop[1]"),
    (chat(stream="yes"), "stream"),
    (chat(stream_options=True), "stream_options"),
    (chat(stream_options={"include_usage": 1}), "stream_options.include_usage"),
    (chat(parallel_tool_calls="no"), "parallel_tool_calls"),
    (chat(response_format="json"), "response_format"),
    (chat(response_format={"type": "yaml"}), "response_format.type"),
    (chat(response_format={"type": "json_schema"}), "response_format.json_schema"),
    (
        chat(response_format={"type": "json_schema", "json_schema": {"schema": []}}),
        "response_format.json_schema.schema",
    ),
    (chat(reasoning_effort="extreme"), "reasoning_effort"),
    (chat(reasoning_effort=3), "reasoning_effort"),
    (chat(modalities="image"), "modalities"),
    (chat(modalities=["smell"]), "modalities[0]"),
    (chat(modalities=["audio"], audio={"voice": 5}), "audio.voice"),
    (chat(image_config=[]), "image_config"),
    (chat(image_config={"aspect_ratio": 1.5}), "image_config.aspect_ratio"),
    (chat(safety_settings={}), "safety_settings"),
    (chat(safety_settings=[{"category": "A"}]), "safety_settings[0].threshold"),
    (
        chat(safety_settings=[{"category": "A", "threshold": "OFF"}] * 2),
        "safety_settings[1].category",
    ),
    (chat(extra_body=[]), "extra_body"),
    (chat(extra_body={"google": 5}), "extra_body.google"),
    (chat(google="x"), "google"),
    (google(thinking_config=5), "extra_body.google.thinking_config"),
    (
        google(thinking_config={"thinking_budget": "x"}),
        "extra_body.google.thinking_config.thinking_budget",
    ),
    (
        google(thinking_config={"thinking_level": "extreme"}),
        "extra_body.google.thinking_config.thinking_level",
    ),
    (
        google(thinking_config={"thinking_level": "low", "thinking_budget": 1}),
        "extra_body.google.thinking_config",
    ),
    (
        google(thinking_config={"include_thoughts": "yes"}),
        "extra_body.google.thinking_config.include_thoughts",
    ),
    (google(cached_content=5), "extra_body.google.cached_content"),
    (google(image_config=5), "extra_body.google.image_config"),
]


@pytest.mark.parametrize(
    ("body", "param"), MALFORMED, ids=[f"{n}-{param}" for n, (_, param) in enumerate(MALFORMED)]
)
def test_a_malformed_body_names_its_field(body, param):
    with pytest.raises(InvalidRequest) as caught:
        parse(copy.deepcopy(body))
    assert caught.value.param == param
    assert caught.value.message


def test_null_means_absent():
    fields = (
        "tools tool_choice functions function_call stop n seed temperature top_p top_k max_tokens stream "
        "stream_options response_format reasoning_effort modalities audio image_config extra_body google "
        "safety_settings service_tier parallel_tool_calls web_search_options logprobs user metadata"
    )
    assert parse(chat(**dict.fromkeys(fields.split()))).body == parse(chat()).body


def test_arguments_that_nest_beyond_reason_stay_text():
    deep = '{"a":' * 300 + "1" + "}" * 300
    history = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": deep}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": deep},
    ]
    contents = parse(chat(messages=history)).body["contents"]
    assert contents[1]["parts"][0]["functionCall"]["args"] == {"input": deep}
    assert contents[2]["parts"][0]["functionResponse"]["response"] == {"result": deep}


def test_fields_of_no_meaning_are_noted_shortly():
    call = parse(chat(**{f"field_{n:03}" + "x" * 200: 1 for n in range(100)}))
    assert len(call.dropped) == 20
    assert all(len(note) <= 64 for note in call.dropped)


KEY_WORDS = (
    "model messages role content type text image_url url input_audio data format file file_data filename "
    "tool_calls id function name arguments tool_call_id tools parameters properties items anyOf tool_choice "
    "mode allowed_tools stream stream_options n stop seed response_format json_schema schema extra_body google "
    "thinking_config thinking_budget thinking_level modalities audio voice safety_settings category "
    "reasoning_effort function_call functions refusal extra_content"
)
KEYS = st.sampled_from(KEY_WORDS.split())
VALUE_WORDS = (
    "gemini-2.5-flash gemini-3-flash-preview user assistant system tool function text image_url file "
    "input_audio auto none required json_schema data:image/png;base64,AAAA https://a.example/b c1 {} low"
)
WORDS = st.sampled_from(VALUE_WORDS.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_any_json_value_is_parsed_or_refused(value):
    with contextlib.suppress(GatewayError):
        openai_chat.parse(value, HEAD, resolve)


@settings(max_examples=200, deadline=None)
@given(
    field=KEYS,
    value=VALUES,
    messages=st.lists(
        st.fixed_dictionaries(
            {"role": WORDS, "content": VALUES},
            optional={"tool_calls": VALUES, "tool_call_id": WORDS, "name": VALUES},
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_any_field_value_is_parsed_or_refused(field, value, messages):
    body = {"model": "gemini-3-flash-preview", "messages": messages, field: value}
    try:
        call = openai_chat.parse(body, HEAD, resolve)
    except GatewayError:
        return
    roles = [content["role"] for content in call.body["contents"]]
    assert roles == ["user", "model"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    codec.dumps(call.body)


def test_a_model_that_only_speaks_is_told_how_by_the_user():
    said = [{"role": "system", "content": "Say it slowly."}, {"role": "user", "content": "Hello"}]
    body = parse(chat(model="gemini-2.5-flash-preview-tts", messages=said)).body
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Say it slowly."}, {"text": "Hello"}]}
    ]
    assert "systemInstruction" not in body

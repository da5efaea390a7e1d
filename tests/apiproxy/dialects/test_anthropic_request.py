import copy

import msgspec
import pytest

from apiproxy.dialects.carried import carry
from apiproxy.wire.types import Action
from gateway.lib.errors import InvalidRequest, UnknownModel
from tests.apiproxy.dialects import support
from tests.apiproxy.dialects.support import HEAD

COUNTING = msgspec.structs.replace(HEAD, path_method="countTokens")


def parse(body, head=HEAD):
    return support.parse(body, "anthropic-messages", head)


def ask(**fields):
    """A request that is right but for `fields`."""
    messages = [{"role": "user", "content": "Hi"}]
    return {"model": "gemini-2.5-flash", "max_tokens": 100, "messages": messages, **fields}


def message(role="user", **fields):
    return ask(messages=[{"role": role, **fields}])


def block(kind, role="user", **fields):
    return message(role, content=[{"type": kind, **fields}])


def source(kind, **fields):
    return block(kind, source=fields)


def offered(**fields):
    return ask(tools=[{"name": "f", **fields}])


def chosen(choice):
    return offered() | {"tool_choice": choice}


def output(**options):
    return ask(output_config=options)


CONTENT = "messages[0].content[0]"

MALFORMED = [
    ([], None),
    (ask(model=None), "model"),
    (ask(model=7), "model"),
    (ask(max_tokens=None), "max_tokens"),
    (ask(max_tokens="many"), "max_tokens"),
    (ask(max_tokens=0), "max_tokens"),
    (ask(max_tokens=True), "max_tokens"),
    (ask(messages=None), "messages"),
    (ask(messages=[]), "messages"),
    (ask(messages={}), "messages"),
    (ask(messages=["Hi"]), "messages[0]"),
    (message("robot", content="Hi"), "messages[0].role"),
    (message(), "messages[0].content"),
    (message(content=5), "messages[0].content"),
    (message(content=["Hi"]), CONTENT),
    (message(content=[{"text": "Hi"}]), f"{CONTENT}.type"),
    (block("hologram"), f"{CONTENT}.type"),
    (block(["text"]), f"{CONTENT}.type"),
    (block("text"), f"{CONTENT}.text"),
    (block("text", text=5), f"{CONTENT}.text"),
    (block("text", "assistant", text=5), f"{CONTENT}.text"),
    (block("image"), f"{CONTENT}.source"),
    (source("image"), f"{CONTENT}.source.type"),
    (source("image", type="text", data="x"), f"{CONTENT}.source.type"),
    (source("image", type="base64", data="AAAA"), f"{CONTENT}.source.media_type"),
    (source("image", type="base64", media_type="image/png"), f"{CONTENT}.source.data"),
    (source("image", type="base64", media_type="image/png", data="%"), f"{CONTENT}.source.data"),
    (source("image", type="url"), f"{CONTENT}.source.url"),
    (source("image", type="url", url="file:///etc/passwd"), f"{CONTENT}.source.url"),
    (source("image", type="file", file_id="file_1"), f"{CONTENT}.source.type"),
    (source("document", type="text"), f"{CONTENT}.source.data"),
    (source("document", type="content", content=5), f"{CONTENT}.source.content"),
    (
        source("document", type="content", content=[{"type": "document"}]),
        f"{CONTENT}.source.content[0].type",
    ),
    (block("document", title=5), f"{CONTENT}.title"),
    (block("search_result", title="T"), f"{CONTENT}.source"),
    (block("tool_result"), f"{CONTENT}.tool_use_id"),
    (block("tool_result", tool_use_id="t", content=5), f"{CONTENT}.content"),
    (block("tool_result", tool_use_id="t", is_error="no"), f"{CONTENT}.is_error"),
    (
        block("tool_result", tool_use_id="t", content=[{"type": "text"}]),
        f"{CONTENT}.content[0].text",
    ),
    (block("tool_use", id="t", name="f", input={}), f"{CONTENT}.type"),
    (block("tool_use", "assistant", name="f"), f"{CONTENT}.id"),
    (block("tool_use", "assistant", id="t"), f"{CONTENT}.name"),
    (block("tool_use", "assistant", id="t", name="f", input=[1]), f"{CONTENT}.input"),
    (block("thinking", "assistant", thinking="", signature=5), f"{CONTENT}.signature"),
    (ask(system=5), "system"),
    (ask(system=[{"type": "image"}]), "system[0].type"),
    (ask(system=[{"type": "text"}]), "system[0].text"),
    (message("system", content=[{"type": "image"}]), f"{CONTENT}.type"),
    (ask(tools={}), "tools"),
    (ask(tools=["f"]), "tools[0]"),
    (ask(tools=[{"input_schema": {}}]), "tools[0].name"),
    (ask(tools=[{"type": 5, "name": "f"}]), "tools[0].type"),
    (ask(tools=[{"name": "f"}, {"name": "f"}]), "tools[1].name"),
    (offered(description=5), "tools[0].description"),
    (offered(input_schema="x"), "tools[0].input_schema"),
    (offered(input_schema={"properties": {"a": 5}}), "tools[0].input_schema.properties.a"),
    (chosen("auto"), "tool_choice"),
    (chosen({"type": "perhaps"}), "tool_choice.type"),
    (chosen({"type": "tool"}), "tool_choice.name"),
    (chosen({"type": "tool", "name": "g"}), "tool_choice.name"),
    (
        chosen({"type": "auto", "disable_parallel_tool_use": 1}),
        "tool_choice.disable_parallel_tool_use",
    ),
    (ask(thinking="on"), "thinking"),
    (ask(thinking={"type": "perhaps"}), "thinking.type"),
    (ask(thinking={"type": "enabled", "budget_tokens": 0}), "thinking.budget_tokens"),
    (ask(thinking={"type": "adaptive", "display": "loud"}), "thinking.display"),
    (ask(output_config="x"), "output_config"),
    (output(effort="enormous"), "output_config.effort"),
    (output(format="json"), "output_config.format"),
    (output(format={"type": "xml"}), "output_config.format.type"),
    (output(format={"type": "json_schema"}), "output_config.format.schema"),
    (ask(output_format={"type": "json_schema", "schema": 5}), "output_format.schema"),
    (ask(temperature="hot"), "temperature"),
    (ask(top_p=2), "top_p"),
    (ask(top_k="x"), "top_k"),
    (ask(stop_sequences=5), "stop_sequences"),
    (ask(stop_sequences=[5]), "stop_sequences[0]"),
    (ask(stream="yes"), "stream"),
]


@pytest.mark.parametrize(
    ("body", "param"), MALFORMED, ids=[f"{n}-{param}" for n, (_, param) in enumerate(MALFORMED)]
)
def test_a_malformed_body_names_its_field(body, param):
    with pytest.raises(InvalidRequest) as caught:
        parse(copy.deepcopy(body))
    assert caught.value.param == param
    assert caught.value.message


def test_an_unknown_model_is_named():
    with pytest.raises(UnknownModel) as caught:
        parse(ask(model="claude-unknown"))
    assert caught.value.param == "model"


def test_null_means_absent():
    fields = (
        "system tools tool_choice thinking output_config output_format stop_sequences temperature top_p top_k "
        "stream metadata service_tier container"
    )
    call = parse(ask(**dict.fromkeys(fields.split())))
    assert (call.body, call.dropped) == (parse(ask()).body, [])


def test_counting_needs_no_limit_and_heeds_no_options():
    body = ask(stream=True, temperature=1, thinking={"type": "adaptive"}, system="Be brief.")
    del body["max_tokens"]
    call = parse(body, COUNTING)
    assert (call.action, call.stream) == (Action.COUNT_TOKENS, False)
    assert call.body["generateContentRequest"].keys() == {"contents", "systemInstruction"}


@pytest.mark.parametrize("max_tokens", [1, 65_536, 10**9])
def test_the_limit_with_room_for_thoughts_stays_within_the_models(max_tokens):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    config = parse(ask(max_tokens=max_tokens, thinking=thinking)).body["generationConfig"]
    assert config["maxOutputTokens"] == min(max_tokens + 1024, 65_536)


def assistant(*blocks):
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": list(blocks)},
        {"role": "user", "content": "Go on"},
    ]
    return ask(model="gemini-3-flash-preview", messages=messages)


def thought(signature):
    return {"type": "thinking", "thinking": "Hm", "signature": signature}


@pytest.mark.parametrize(
    ("signature", "comes_back", "noted"),
    [
        (carry("c2ln", "gemini-3.1-pro-preview"), "c2ln", False),
        (carry("", "gemini-3-flash-preview"), None, False),
        (carry("c2ln", "gemini-2.5-pro"), None, True),
        ("EqQBCgIYAhIkNmE", None, True),
        (None, None, False),
    ],
)
def test_only_what_this_family_of_models_signed_goes_back(signature, comes_back, noted):
    call = parse(assistant(thought(signature), {"type": "text", "text": "Well"}))
    [part] = call.body["contents"][1]["parts"]
    assert part["text"] == "Well"
    assert part.get("thoughtSignature") == comes_back
    assert any(note.startswith("thinking") for note in call.dropped) is noted


def test_each_thought_signs_what_followed_it():
    call_block = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    blocks = [
        thought(carry("b25l", "gemini-3-flash-preview")),
        {"type": "text", "text": "First"},
        thought(carry("dHdv", "gemini-3-flash-preview")),
        {"type": "text", "text": "Second"},
        call_block,
        {**call_block, "id": "c2"},
    ]
    body = assistant(*blocks)
    body["messages"][2]["content"] = [{"type": "tool_result", "tool_use_id": "c1"}]
    parts = parse(body).body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["b25l", None, "dHdv", None]


def test_a_message_of_thoughts_alone_leaves_nothing_behind():
    call = parse(assistant(thought(carry("c2ln", "gemini-3-flash-preview"))))
    [content] = call.body["contents"]
    assert content == {"role": "user", "parts": [{"text": "Hi"}, {"text": "Go on"}]}


def test_what_is_left_out_is_noted_once():
    blocks = [{"type": "redacted_thinking", "data": "x"}] * 50
    call = parse(assistant(*blocks, {"type": "text", "text": "Well"}))
    assert call.dropped == ["redacted_thinking blocks"]


def test_arguments_may_be_missing_or_a_text():
    blocks = [
        {"type": "tool_use", "id": "a", "name": "f"},
        {"type": "tool_use", "id": "b", "name": "f", "input": '{"x": 1}'},
    ]
    body = assistant(*blocks)
    body["messages"][2]["content"] = [{"type": "tool_result", "tool_use_id": "a"}]
    parts = parse(body).body["contents"][1]["parts"]
    assert [part["functionCall"]["args"] for part in parts] == [{}, {"x": 1}]


@pytest.mark.parametrize("kind", ["auto", "any", "none"])
def test_a_choice_without_functions_chooses_nothing(kind):
    assert "toolConfig" not in parse(ask(tool_choice={"type": kind})).body


def test_thinking_between_tools_is_none_here():
    asked = {"thinking": {"type": "between_tools"}}
    config = parse(ask(**asked)).body["generationConfig"]
    assert config["thinkingConfig"] == {"includeThoughts": False, "thinkingBudget": 0}


def test_thoughts_shown_as_updates_are_shown():
    asked = {"thinking": {"type": "adaptive", "display": "updates"}}
    config = parse(ask(**asked)).body["generationConfig"]
    assert config["thinkingConfig"]["includeThoughts"] is True


def turns(*messages):
    return parse(ask(messages=[*messages]))


USER = {"role": "user", "content": "Hi"}


def test_a_system_message_among_the_turns_changes_the_effort():
    low = {"role": "system", "output_config": {"effort": "low"}}
    high = {"role": "system", "content": [], "output_config": {"effort": "high"}}
    call = turns(low, USER, high, {"role": "system", "output_config": {}, "content": "Go."})
    assert call.body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 24576
    assert call.body["systemInstruction"] == {"parts": [{"text": "Go."}]}
    wrong = {"role": "system", "output_config": {"effort": "none at all"}}
    with pytest.raises(InvalidRequest) as raised:
        turns(USER, wrong)
    assert raised.value.param == "messages[1].output_config.effort"


def test_what_is_said_of_one_turn_goes_with_the_next():
    once = {"role": "system", "content": "Once.", "clear_at": "next_user_message"}
    assert turns(USER, once).body["systemInstruction"] == {"parts": [{"text": "Once."}]}
    assert "systemInstruction" not in turns(USER, once, USER).body


def test_tools_are_added_by_system_messages():
    tool = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
    blocks = [
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}},
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "look"}},
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "other"}},
    ]
    call = turns(USER, {"role": "system", "content": blocks + blocks})
    [declared] = call.body["tools"][0]["functionDeclarations"]
    assert declared["name"] == "look"
    assert call.dropped == ["tool_addition blocks", "tool_removal blocks"]

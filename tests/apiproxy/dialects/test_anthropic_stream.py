import json

import msgspec
import pytest

from apiproxy.dialects import anthropic_messages
from apiproxy.wire.types import Action, Usage
from gateway.lib.errors import StreamBroken
from tests.apiproxy.dialects import support
from tests.apiproxy.dialects.events import events_of

BODY = {
    "model": "gemini-3-flash-preview",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
}


def call_of(**changes):
    return msgspec.structs.replace(support.parse(BODY, "anthropic-messages"), **changes)


def reply(*parts, **candidate):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]}


def called(name="f", call_id="c1", **more):
    return {"functionCall": {"name": name, "id": call_id, "args": {}}, **more}


def run(replies, usage=Usage(), **changes):  # noqa: B008 - frozen
    call = call_of(**changes)
    stream = anthropic_messages.stream(call)
    data = b"".join(stream.feed(item) for item in replies) + stream.close(usage)
    return events_of("anthropic-messages", call, data)


def render(replies, **changes):
    return json.loads(anthropic_messages.render(call_of(**changes), replies))


def text_of(events):
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


FINISH = {
    "STOP": "end_turn",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "LANGUAGE": "refusal",
    "IMAGE_SAFETY": "refusal",
    "MALFORMED_FUNCTION_CALL": "end_turn",
    "UNEXPECTED_TOOL_CALL": "end_turn",
    "NO_IMAGE": "end_turn",
    "OTHER": "end_turn",
    "SOMETHING_NEW": "end_turn",
    None: "max_tokens",
}


@pytest.mark.parametrize(("reason", "expected"), FINISH.items())
def test_an_answer_ends_once_and_for_its_reason(reason, expected):
    ending = {"finishReason": reason} if reason else {}
    replies = [reply({"text": "a"}), reply({"text": "b"}, **ending), reply({"text": ""})]
    events = run(replies)
    reasons = [e["delta"]["stop_reason"] for e in events if e["type"] == "message_delta"]
    assert reasons == [expected]
    assert events[-1] == {"type": "message_stop"}
    assert render(replies)["stop_reason"] == expected


@pytest.mark.parametrize("reason", ["STOP", "MAX_TOKENS"])
def test_a_call_is_the_reason_only_of_a_good_end(reason):
    replies = [reply(called()), reply({"text": ""}, finishReason=reason)]
    expected = {"STOP": "tool_use", "MAX_TOKENS": "max_tokens"}[reason]
    assert run(replies)[-2]["delta"]["stop_reason"] == expected
    assert render(replies)["stop_reason"] == expected


def test_an_upstream_that_ends_in_a_call_leaves_no_complete_call():
    call = call_of()
    stream = anthropic_messages.stream(call)
    data = stream.feed(reply({"text": "a"})) + stream.feed(reply(called()))
    events = events_of("anthropic-messages", call, data + stream.close(Usage()))
    assert [event["type"] for event in events[-3:]] == [
        "content_block_start",
        "content_block_delta",
        "error",
    ]
    assert events[-1]["error"]["type"] == "api_error"
    with pytest.raises(StreamBroken):
        render([reply({"text": "a"}), reply(called())])


def test_one_block_is_open_at_a_time_and_numbers_run_on():
    replies = [
        reply({"text": "t", "thought": True}, {"text": "a"}, called(call_id="1")),
        reply(called(call_id="2"), {"text": "b"}, {"text": "t", "thought": True}),
        reply({"text": "c"}, finishReason="STOP"),
    ]
    opened = []
    for event in run(replies):
        if event["type"] == "content_block_start":
            opened.append(event["content_block"]["type"])
            current = event["index"]
            assert current == len(opened) - 1
        elif event["type"] == "content_block_delta":
            assert event["index"] == current
        elif event["type"] == "content_block_stop":
            assert event["index"] == current
            current = None
    kinds = ["thinking", "text", "tool_use", "tool_use", "text", "thinking", "text"]
    assert opened == kinds
    assert [block["type"] for block in render(replies)["content"]] == kinds


def test_an_answer_of_nothing_begins_and_ends():
    assert [event["type"] for event in run([])] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert render([])["content"] == []


def test_the_keepalive_is_a_ping():
    event = anthropic_messages.stream(call_of()).keepalive
    assert event == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_usage_is_told_again_at_the_end():
    start, *_, ending, _ = run([reply({"text": "a"})], Usage(9, 2, 4, 3))
    assert start["message"]["usage"]["input_tokens"] == 0
    assert ending["usage"]["input_tokens"] == 5
    assert ending["usage"]["cache_read_input_tokens"] == 4
    assert ending["usage"]["output_tokens"] == 5


def signatures_in(events):
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return [delta["signature"] for delta in deltas if delta["type"] == "signature_delta"]


@pytest.mark.parametrize(
    ("following", "carried"),
    [
        ([called(thoughtSignature="c2ln")], "c2ln"),
        ([{"text": "a", "thoughtSignature": "c2ln"}], "c2ln"),
        ([{"text": "", "thoughtSignature": "c2ln"}], "c2ln"),
        ([{"text": "a"}], ""),
        ([], ""),
    ],
)
def test_a_thought_carries_the_signature_of_what_follows(following, carried):
    replies = [reply({"text": "t", "thought": True}), reply(*following, finishReason="STOP")]
    assert signatures_in(run(replies)) == [f"ws1:gemini-3:{carried}"]
    assert render(replies)["content"][0]["signature"] == f"ws1:gemini-3:{carried}"


def test_a_whole_answer_knows_the_signature_of_a_later_call():
    parts = [{"text": "t", "thought": True}, {"text": "a"}, called(thoughtSignature="c2ln")]
    content = render([reply(*parts, finishReason="STOP")])["content"]
    assert content[0]["signature"] == "ws1:gemini-3:c2ln"


def test_no_block_is_opened_for_a_signature_alone():
    replies = [reply({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP")]
    assert [event["type"] for event in run(replies)][1] == "message_delta"
    assert render(replies)["content"] == []


def test_sound_and_stored_pictures_are_linked():
    stored = {"fileData": {"fileUri": "https://site.example/a.png", "mimeType": "image/png"}}
    sound = {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}
    shown = "![image](https://site.example/a.png)[audio](data:audio/wav;base64,AA==)"
    replies = [reply(stored, sound, finishReason="STOP")]
    assert text_of(run(replies)) == shown
    assert render(replies)["content"] == [{"type": "text", "text": shown}]


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"candidates": None},
        {"candidates": ["x"]},
        {"candidates": [{"content": {"parts": [5]}}]},
        {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
        {"candidates": [{"content": {"parts": [{"text": None, "thought": True}]}}]},
        {"candidates": [{"finishReason": 5, "groundingMetadata": "x"}]},
        {"candidates": [{"groundingMetadata": {"groundingSupports": [5, {"segment": 5}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": None, "inlineData": 5}]}}]},
        {"promptFeedback": "x", "usageMetadata": 5},
    ],
)
def test_replies_of_another_shape_do_no_harm(junk):
    replies = [junk, reply({"text": "a"}), junk, reply({"text": "b"}), junk]
    assert text_of(run(replies)) == "ab"
    assert render(replies)["content"][0]["text"] == "ab"


@pytest.mark.parametrize("replies", [[], [{}], [{"totalTokens": "x"}]])
def test_a_count_that_is_missing_is_zero(replies):
    call = msgspec.structs.replace(call_of(), action=Action.COUNT_TOKENS)
    assert json.loads(anthropic_messages.render(call, replies)) == {"input_tokens": 0}

import json

import msgspec
import pytest

from apiproxy.dialects import openai_chat
from apiproxy.dialects.openai_chat_stream import ChatStream
from apiproxy.wire.types import Usage
from gateway.lib.errors import StreamBroken
from tests.apiproxy.dialects.events import events_of
from tests.apiproxy.dialects.support import chat, parse

STREAMED = chat(stream=True)


def reply(*parts, **candidate):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]}


def run(replies, body=STREAMED, usage=Usage(), **changes):  # noqa: B008 - frozen
    call = msgspec.structs.replace(parse(body), **changes)
    stream = ChatStream(call)
    data = b"".join(stream.feed(item) for item in replies) + stream.close(usage)
    return events_of("openai-chat", call, data)


FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "stop",
    "UNEXPECTED_TOOL_CALL": "stop",
    "TOO_MANY_TOOL_CALLS": "stop",
    "NO_IMAGE": "stop",
    "IMAGE_OTHER": "stop",
    "OTHER": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "SOMETHING_NEW": "stop",
    None: "length",
}


@pytest.mark.parametrize(("reason", "expected"), FINISH.items())
def test_a_stream_ends_with_exactly_one_finish_reason(reason, expected):
    ending = {"finishReason": reason} if reason else {}
    events = run([reply({"text": "a"}), reply({"text": "b"}, **ending), reply({"text": ""})])
    reasons = [event["choices"][0]["finish_reason"] for event in events]
    assert reasons == [None] * (len(events) - 1) + [expected]


@pytest.mark.parametrize(("reason", "expected"), FINISH.items())
def test_an_answer_ends_for_the_same_reason(reason, expected):
    ending = {"finishReason": reason} if reason else {}
    answer = json.loads(openai_chat.render(parse(chat()), [reply({"text": "a"}, **ending)]))
    assert answer["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize("reason", ["UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"])
def test_a_failed_call_without_message_is_put_in_words(reason):
    events = run([{"candidates": [{"finishReason": reason}]}])
    assert events[1]["choices"][0]["delta"]["content"].startswith("The model ")


def test_only_the_first_chunk_of_a_choice_has_the_role():
    events = run([reply({"text": "a"}), reply({"text": "b"}, finishReason="STOP")])
    roles = ["role" in event["choices"][0]["delta"] for event in events]
    assert roles == [True, False, False, False]


def test_text_outside_the_common_shape_is_not_lost():
    """The short way of `feed` and the long one say the same."""
    call = parse(STREAMED)
    stream = ChatStream(call)
    stream.feed(reply({"text": "first"}))
    short = stream.feed(reply({"text": "x\u2028"}, index=0))
    long = stream.feed(reply({"text": "x\u2028"}, index=0, safetyRatings=[], avgLogprobs=-1))
    assert short == long
    assert b"\\u2028" in short


def test_a_second_choice_never_takes_the_short_way():
    events = run(
        [reply({"text": "a"}), reply({"text": "b"}, index=1), reply({"text": "c"}, index=1)]
    )
    said = [
        (choice["index"], choice["delta"]["content"])
        for event in events
        for choice in event["choices"]
        if choice["delta"].get("content")
    ]
    assert said == [(0, "a"), (1, "b"), (1, "c")]


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"candidates": None},
        {"candidates": {"a": 1}},
        {"candidates": ["x"]},
        {"candidates": [{"content": "x"}]},
        {"candidates": [{"content": {"parts": "x"}}]},
        {"candidates": [{"content": {"parts": [5]}}]},
        {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
        {"candidates": [{"content": {"parts": [{"text": None, "thought": True}]}, "index": "x"}]},
        {"candidates": [{"finishReason": 5, "groundingMetadata": "x", "logprobsResult": "y"}]},
        {"candidates": [{"content": {"parts": [{"functionCall": None, "inlineData": 5}]}}]},
        {"promptFeedback": "x", "usageMetadata": 5},
    ],
)
def test_replies_of_another_shape_do_no_harm(junk):
    body = STREAMED | {"web_search_options": {}}
    events = run([junk, reply({"text": "a"}), junk, reply({"text": "b"}), junk], body)
    text = [event["choices"][0]["delta"].get("content") for event in events]
    assert [piece for piece in text if piece] == ["a", "b"]
    answer = json.loads(openai_chat.render(parse(chat()), [junk]))
    assert answer["choices"][0]["message"]["content"] == ""


def test_usage_comes_last_and_only_when_asked_for():
    usage = Usage(input_tokens=3, output_tokens=2, thinking_tokens=1)
    quiet = run([reply({"text": "a"}, finishReason="STOP")], usage=usage)
    assert all("usage" not in event for event in quiet)
    asked = STREAMED | {"stream_options": {"include_usage": True}}
    *events, last = run([reply({"text": "a"}, finishReason="STOP")], asked, usage)
    assert all(event["usage"] is None for event in events)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 6


def test_an_answer_without_candidates_has_a_choice():
    (first, closing) = run([])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert closing["choices"][0]["finish_reason"] == "length"
    answer = json.loads(openai_chat.render(parse(chat()), []))
    assert answer["choices"][0]["message"]["content"] == ""


def test_pictures_can_come_as_a_field_of_their_own():
    picture = reply({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, finishReason="STOP")
    expected = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    events = run([picture], chat_images="images")
    assert events[1]["choices"][0]["delta"] == {"images": expected}
    call = msgspec.structs.replace(parse(chat()), chat_images="images")
    answer = json.loads(openai_chat.render(call, [picture]))
    assert answer["choices"][0]["message"]["images"] == expected
    assert answer["choices"][0]["message"]["content"] == ""


def test_an_error_inside_a_stream_is_followed_by_the_terminator():
    stream = openai_chat.stream(parse(STREAMED))
    data, done = stream.error(StreamBroken("it broke off")).removesuffix(b"\n\n").split(b"\n\n")
    assert done == b"data: [DONE]"
    assert json.loads(data.removeprefix(b"data: ")) == {
        "error": {
            "message": "it broke off (request id: req_0042)",
            "type": "server_error",
            "param": None,
            "code": "stream_broken",
        }
    }


def test_the_filler_is_a_comment():
    assert openai_chat.stream(parse(STREAMED)).keepalive == b": keep-alive\n\n"


def test_a_call_after_which_the_upstream_goes_away_is_an_error():
    cut = [reply({"functionCall": {"name": "f", "args": {}, "id": "c"}})]
    call = parse(STREAMED)
    stream = ChatStream(call)
    data = b"".join(map(stream.feed, cut)) + stream.close(Usage())
    assert b'"finish_reason":"' not in data
    last, done = data.strip().rsplit(b"\n\n", 2)[-2:]
    assert "in the middle of a tool call" in json.loads(last[6:])["error"]["message"]
    assert done == b"data: [DONE]"
    with pytest.raises(StreamBroken):
        openai_chat.render(call, cut)

"""Responses streams beyond the recorded cases: how they fail, and what is stored of an answer."""

import copy
import json

import pytest

from apiproxy.dialects import openai_responses
from apiproxy.wire.types import Usage
from gateway.lib import errors
from tests.apiproxy.dialects.events import events_of
from tests.apiproxy.dialects.support import cases, parse

SIGNATURE = "AXLI2nw+/w=="


def call_of(**fields):
    body = {"model": "gemini-3-flash-preview", "input": "Hi", **fields}
    return parse(body, "openai-responses")


def reply(*parts, **more):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}]}


def streamed(call, *replies, end=None):
    """The events; `end`: an error that breaks the stream."""
    stream = openai_responses.stream(call)
    data = b"".join(stream.feed(one) for one in replies)
    data += stream.close(Usage()) if end is None else stream.error(end)
    events = events_of("openai-responses", call, data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


BROKEN = errors.StreamBroken("the answer broke off")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BROKEN, "server_error"),
        (errors.RateLimited("slow down", retry_after_s=3), "rate_limit_exceeded"),
        (errors.QuotaExhausted("used up"), "insufficient_quota"),
        (errors.UpstreamRefused("no"), "invalid_prompt"),
    ],
)
def test_a_broken_stream_ends_in_response_failed(error, code):
    call = call_of()
    *_, last = streamed(call, reply({"text": "Hel"}), end=error)
    assert last["type"] == "response.failed"
    response = last["response"]
    assert response["status"] == "failed"
    assert response["error"] == {
        "code": code,
        "message": f"{error.message} (request id: req_0042)",
    }
    assert call.kept.response == b""


def test_complete_items_stay_in_a_failed_response():
    calls = [{"functionCall": {"id": "c1", "name": "f"}}, {"text": "unfinished"}]
    *_, last = streamed(call_of(), reply(*calls), end=BROKEN)
    assert [item["type"] for item in last["response"]["output"]] == ["function_call"]


def test_an_error_before_anything_else_still_begins_the_response():
    events = streamed(call_of(), end=BROKEN)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]


def test_an_empty_answer_has_its_three_events():
    events = streamed(call_of(), reply(finishReason="STOP"))
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_stored_holds_the_signatures_that_were_not_asked_for(stream):
    call = call_of()
    replies = [
        reply({"text": "hm", "thought": True}),
        reply({"functionCall": {"id": "c", "name": "f"}, "thoughtSignature": SIGNATURE}),
        reply(finishReason="STOP"),
    ]
    if stream:
        shown = streamed(call, *replies)[-1]["response"]
    else:
        shown = json.loads(openai_responses.render(call, replies))
    assert "encrypted_content" not in shown["output"][0]
    kept = json.loads(call.kept.response)
    assert kept["output"][0].pop("encrypted_content") == f"ws1:gemini-3:{SIGNATURE}"
    assert kept == shown


def test_nothing_is_kept_where_nothing_is_stored():
    call = call_of(store=False)
    openai_responses.render(call, [reply({"text": "a"}, finishReason="STOP")])
    assert call.kept is None


ANSWERED = [case for case in cases("openai-responses") if "answer" in case]


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: case["name"])
def test_items_come_back_as_the_upstream_sent_them(case):
    """An answer, given back as the input of the next request, is the model's turn it was made of."""
    given = [{"role": "user", "content": "Hi"}, *case["answer"]["output"]]
    follow_up = {
        **copy.deepcopy(case["request"]),
        "input": [*given, {"role": "user", "content": "?"}],
    }
    parts = [
        part
        for turn in parse(follow_up, "openai-responses").body["contents"]
        if turn["role"] == "model"
        for part in turn["parts"]
    ]
    sent = [
        part
        for one in case["replies"]
        for candidate in one.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
        if not part.get("thought")
    ]
    calls = [part["functionCall"]["id"] for part in parts if "functionCall" in part]
    wanted = [part["functionCall"]["id"] for part in sent if "functionCall" in part]
    # A turn whose calls nobody answered gets stubs for answers; it is there all the same.
    assert calls == wanted[: 1 if case["call"].get("single_tool_call") else None]
    if case["answer"]["output"] and "reasoning.encrypted_content" in case["request"].get(
        "include", ()
    ):
        signed = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
        assert signed == [part["thoughtSignature"] for part in sent if "thoughtSignature" in part]


CALLED = {"functionCall": {"name": "f", "args": {"a": 1}, "id": "call_1"}}
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]


def test_a_call_that_nothing_follows_is_no_complete_call():
    """An upstream that goes away after a call may have wanted to say more."""
    call = call_of(tools=TOOLS)
    events = streamed(call, reply({"text": "Let me see."}), reply(CALLED))
    assert events[-1]["type"] == "response.failed"
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message"]
    assert "response.function_call_arguments.done" not in [event["type"] for event in events]
    assert call.kept is None
    with pytest.raises(errors.StreamBroken):
        openai_responses.render(call_of(tools=TOOLS), [reply(CALLED)])


@pytest.mark.parametrize("together", [True, False])
def test_a_call_is_told_when_it_is_known_to_be_complete(together):
    call = call_of(tools=TOOLS)
    replies = [reply(CALLED, finishReason="STOP")]
    if not together:
        replies = [reply(CALLED), reply(CALLED | {"functionCall": {"name": "f"}}), {**reply()}]
        replies[-1]["candidates"][0]["finishReason"] = "STOP"
    events = streamed(call, *replies)
    assert events[-1]["type"] == "response.completed"
    items = events[-1]["response"]["output"]
    assert [item["arguments"] for item in items] == ['{"a":1}', "{}"][: len(items)]


def test_an_empty_thought_cuts_no_text():
    empty = {"text": "", "thought": True}
    events = streamed(
        call_of(), reply({"text": "Hel"}), reply(empty), reply({"text": "lo"}, finishReason="STOP")
    )
    [item] = events[-1]["response"]["output"]
    assert item["content"][0]["text"] == "Hello"

"""Every dialect of the registry through its recorded cases.

A case holds a client's request and what becomes of it: the canonical body, and where replies are recorded, the answer
and the stream they turn into. `covers` names the rows of the wire reference.
"""

import copy
import json

import msgspec
import pytest
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from apiproxy import signatures
from apiproxy.dialects import DIALECTS
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Usage
from apiproxy.wire.usage import usage_of
from gateway.lib import errors
from tests.apiproxy.dialects.events import events_of, without_envelope, without_response
from tests.apiproxy.dialects.support import HEAD, cases, resolve
from tests.fakes.google_generate import parse_public
from tests.fakes.google_models import PUBLIC_MODELS
from tests.fakes.google_rules import check_request
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_turns import Scope, check_contents

EMBED_MESSAGES = {True: "BatchEmbedContentsRequest", False: "EmbedContentRequest"}
CASES = [(dialect, case) for dialect in DIALECTS for case in cases(dialect)]
WITH_ANSWER = [(dialect, case) for dialect, case in CASES if "answer" in case]
WITH_EVENTS = [(dialect, case) for dialect, case in CASES if "events" in case]


def each(recorded):
    return pytest.mark.parametrize(
        ("dialect", "case"),
        recorded,
        ids=[f"{dialect}-{case['name']}" for dialect, case in recorded],
    )


def parsed(dialect, case):
    head = msgspec.structs.replace(HEAD, **case.get("head", {}))
    return DIALECTS[dialect].parse(copy.deepcopy(case["request"]), head, resolve)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_dialect_has_recorded_cases(dialect):
    assert len(cases(dialect)) >= 12


@each(CASES)
def test_a_request_becomes_canonical(dialect, case):
    call = parsed(dialect, case)
    assert call.body == case["canonical"]
    assert call.dialect == dialect
    noted = {
        "stream": call.stream,
        "include_usage": call.include_usage,
        "single_tool_call": call.single_tool_call,
        "function_names": call.function_names,
        "dropped": call.dropped,
        "remote": [part["fileData"]["fileUri"] for part in call.remote_parts],
        "answers": call.answers - 1 and call.answers,
        "pictures_only": call.pictures_only,
        "linked": call.image_delivery == "url",
        "base64": call.embedding_format == "base64",
        "samples": call.sound_format == "pcm16",
    }
    assert {key: value for key, value in noted.items() if value} == case["call"]


@each(WITH_ANSWER)
def test_replies_become_an_answer(dialect, case):
    call = parsed(dialect, case)
    answer = DIALECTS[dialect].render(call, copy.deepcopy(case["replies"]))
    assert json.loads(answer) == case["answer"]


@each(WITH_EVENTS)
def test_replies_become_a_stream(dialect, case):
    call = parsed(dialect, case)
    renderer = DIALECTS[dialect].stream(call)
    counts = [usage for reply in case["replies"] if (usage := usage_of(reply))]
    data = b"".join(renderer.feed(reply) for reply in copy.deepcopy(case["replies"]))
    data += renderer.close(counts[-1] if counts else Usage())
    events = events_of(dialect, call, data)
    if dialect == "openai-chat":
        assert {
            json.dumps([event[key] for key in ("id", "object", "created", "model")])
            for event in events
        } == {
            json.dumps(
                ["chatcmpl-0042", "chat.completion.chunk", 1_700_000_000, case["request"]["model"]]
            )
        }
        events = [without_envelope(event) for event in events]
    if dialect == "openai-responses":
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        events = [without_response(event, case["answer"]) for event in events]
    assert events == case["events"]


@each(WITH_EVENTS)
def test_a_stream_may_be_kept_alive_and_may_break(dialect, case):
    call = parsed(dialect, case)
    renderer = DIALECTS[dialect].stream(call)
    data = b""
    for reply in copy.deepcopy(case["replies"]):
        data += renderer.feed(reply) + renderer.keepalive
    data += renderer.error(errors.StreamBroken("the answer broke off"))
    assert b'"error":{' in data
    assert b"the answer broke off (request id: req_0042)" in data
    for name, value in DIALECTS[dialect].stream_headers(call):
        assert name == name.lower()
        assert value


def recorded_for(wanted):
    return [(dialect, case) for dialect, case in WITH_ANSWER if dialect == wanted]


@each(recorded_for("openai-chat"))
def test_the_openai_sdk_understands_answers_and_chunks(dialect, case):
    ChatCompletion.model_validate(case["answer"])
    common = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for event in case["events"]:
        ChatCompletionChunk.model_validate(common | event)


@each(recorded_for("openai-responses"))
def test_the_openai_sdk_understands_responses_and_their_events(dialect, case):
    Response.model_validate(case["answer"])
    for event in case["events"]:
        whole = {"response": case["answer"]} if set(event) == {"type", "sequence_number"} else {}
        TypeAdapter(ResponseStreamEvent).validate_python(event | whole)


@each(recorded_for("anthropic-messages"))
def test_the_anthropic_sdk_understands_answers_and_events(dialect, case):
    if "content" not in case["answer"]:
        MessageTokensCount.model_validate(case["answer"])
        return
    Message.model_validate(case["answer"])
    for event in case["events"]:
        TypeAdapter(RawMessageStreamEvent).validate_python(event)


# The SDK reads base64 before its types see the numbers.
@each([found for found in recorded_for("openai-embeddings") if found[1]["name"] != "base64"])
def test_the_openai_sdk_understands_embeddings(dialect, case):
    answer = CreateEmbeddingResponse.model_validate(case["answer"])
    assert [item.index for item in answer.data] == list(range(len(answer.data)))


@each(recorded_for("openai-images"))
def test_the_openai_sdk_understands_pictures(dialect, case):
    answer = ImagesResponse.model_validate(case["answer"])
    assert all(image.b64_json or image.url for image in answer.data)


@each(
    [
        (dialect, case)
        for dialect, case in recorded_for("gemini")
        if case["name"] != "unknown-fields" and "candidates" in case["answer"]
    ]
)
def test_the_google_sdk_understands_answers_and_events(dialect, case):
    for answer in (case["answer"], *case.get("events", ())):
        GenerateContentResponse.model_validate(answer)


class AnySignature(SignatureBook):
    """The recorded signatures were issued by nobody."""

    def accepts(self, signature, family):
        return True


def known_to_the_fake(dialect, case):
    call = parsed(dialect, case)
    return call.model.id in PUBLIC_MODELS and case["name"] != "unknown-fields"


@each([recorded for recorded in CASES if known_to_the_fake(*recorded)])
def test_the_upstream_accepts_the_canonical_body(dialect, case):
    call = parsed(dialect, case)
    inner = call.body.get("generateContentRequest", call.body)
    signatures.restore(inner, {}.get, strict=call.model.strict_signatures)
    body = codec.loads(codec.dumps(call.body))
    scope = Scope(PUBLIC_MODELS[call.model.id], False, AnySignature())
    if call.action is Action.COUNT_TOKENS:
        request = parse_public("CountTokensRequest", body)
        inner = request.get("generateContentRequest", request)
        check_contents(inner["contents"], scope)
    elif call.action is Action.EMBED:
        parse_public(EMBED_MESSAGES["requests" in body], body)
    else:
        check_request(parse_public("GenerateContentRequest", body), scope)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest("bad", param="messages"),
        errors.AuthenticationFailed("who"),
        errors.PoolExhausted("none", retry_after_s=3),
        errors.InternalError("oops"),
    ],
    ids=lambda error: error.code,
)
def test_an_error_carries_the_request_id(dialect, error):
    shown = json.loads(DIALECTS[dialect].render_error(error, "req_0042"))
    assert shown["error"]["message"] == f"{error.message} (request id: req_0042)"

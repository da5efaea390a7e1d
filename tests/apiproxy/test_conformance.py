"""Every dialect with every provider: one set of recorded cases, from a client's request to the upstream's bytes and back."""

from __future__ import annotations

import copy
import json

import msgspec
import pytest

from apiproxy import signatures
from apiproxy.dialects import DIALECTS
from apiproxy.providers import PROVIDERS
from apiproxy.wire import codec
from apiproxy.wire.types import Usage
from apiproxy.wire.usage import usage_of
from tests.apiproxy.dialects.events import events_of, without_envelope, without_response
from tests.apiproxy.dialects.support import HEAD, cases, resolve
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive
from tests.fakes.google_generate import parse_code_assist, parse_public

MESSAGES = {
    "generateContent": "GenerateContentRequest",
    "streamGenerateContent": "GenerateContentRequest",
    "countTokens": "CountTokensRequest",
    "embedContent": "EmbedContentRequest",
    "batchEmbedContents": "BatchEmbedContentsRequest",
}


def embeds(dialect, case):
    method = case.get("head", {}).get("path_method", "")
    return dialect == "openai-embeddings" or method in ("embedContent", "batchEmbedContents")


# Code Assist has no embeddings.
CASES = [
    pytest.param(dialect, provider, case, id=f"{dialect}-{provider}-{case['name']}")
    for dialect in DIALECTS
    for provider in PROVIDERS
    for case in cases(dialect)
    if not (provider == "code_assist" and embeds(dialect, case))
]

PIECES = (7, 1024)


def parsed(dialect, case, *, stream):
    head = msgspec.structs.replace(HEAD, **case.get("head", {}))
    call = DIALECTS[dialect].parse(copy.deepcopy(case["request"]), head, resolve)
    return msgspec.structs.replace(call, stream=stream)


def on_the_wire(provider, reply):
    if provider == "code_assist" and "candidates" in reply:
        return codec.encode({"response": reply, "traceId": "0af7"})
    return codec.encode(reply)


def decoded(provider, call, data, size):
    decoder = PROVIDERS[provider].decoder(call)
    replies = []
    for start in range(0, len(data), size):
        replies += decoder.feed(data[start : start + size])
    return replies + decoder.close()


@pytest.mark.parametrize(("dialect", "provider", "case"), CASES)
def test_a_request_reaches_the_upstream_in_its_own_form(dialect, provider, case):
    call = parsed(dialect, case, stream=False)
    inner = call.body.get("generateContentRequest", call.body)
    signatures.restore(inner, {}.get, strict=call.model.strict_signatures)
    asked, outgoing = drive(PROVIDERS[provider].exchange(call, CREDENTIAL, ENDPOINTS))
    assert asked == []
    assert CREDENTIAL.token not in outgoing.url
    body = codec.loads(outgoing.body)
    method = outgoing.url.partition("?")[0].rpartition(":")[2]
    if provider == "sandbox":
        assert outgoing.url.startswith("sandbox:")
        return
    if provider == "code_assist":
        assert outgoing.headers["authorization"] == f"Bearer {CREDENTIAL.token}"
    else:
        assert outgoing.headers["x-goog-api-key"] == CREDENTIAL.token
    if case["name"] != "unknown-fields":
        parse = parse_code_assist if provider == "code_assist" else parse_public
        parse(MESSAGES[method], body)


def recorded(part, *, whole=False):
    """`whole`: an upstream answers a call that is not streamed with one object."""
    return [
        param
        for param in CASES
        if part in param.values[2] and (not whole or len(param.values[2]["replies"]) == 1)
    ]


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize(("dialect", "provider", "case"), recorded("answer", whole=True))
def test_a_whole_answer_comes_back(dialect, provider, case, size):
    call = parsed(dialect, case, stream=False)
    data = on_the_wire(provider, case["replies"][0])
    answer = DIALECTS[dialect].render(call, decoded(provider, call, data, size))
    assert json.loads(answer) == case["answer"]


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize(("dialect", "provider", "case"), recorded("events"))
def test_a_stream_comes_back(dialect, provider, case, size):
    call = parsed(dialect, case, stream=True)
    data = b"".join(
        b"data: " + on_the_wire(provider, reply) + b"\r\n\r\n" for reply in case["replies"]
    )
    renderer = DIALECTS[dialect].stream(call)
    replies = decoded(provider, call, data, size)
    counts = [usage for reply in replies if (usage := usage_of(reply))]
    out = b"".join(map(renderer.feed, replies))
    out += renderer.close(counts[-1] if counts else Usage())
    events = events_of(dialect, call, out)
    if dialect == "openai-chat":
        events = [without_envelope(event) for event in events]
    if dialect == "openai-responses":
        events = [without_response(event, case["answer"]) for event in events]
    assert events == case["events"]

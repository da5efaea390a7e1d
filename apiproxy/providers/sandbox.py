"""A provider that needs no credential and no network: models that answer, and one that fails for each class of error.

`exchange` names what it wants by a `sandbox:` URL; `respond` says, as data, what comes back, and the transport plays
it. Everything else (decoding, judging, rendering) is the path of the Gemini API.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from apiproxy.providers import sandbox_embed
from apiproxy.providers.base import Decoder, Exchange
from apiproxy.providers.decoding import decoder_for
from apiproxy.providers.judgement import Policy, judge
from apiproxy.providers.resets import MINUTE_S
from apiproxy.providers.sandbox_failures import BROKEN, FAILURES, Failure, unknown_model
from apiproxy.providers.sandbox_models import ECHO_PAUSE_S, MODELS, Turn, speak, usage
from apiproxy.providers.sandbox_prompt import Prompt, read_prompt
from apiproxy.wire import codec
from apiproxy.wire.types import (
    Action,
    Answer,
    Call,
    Credential,
    Endpoints,
    Fault,
    Outgoing,
    Verdict,
)

Json = dict[str, Any]

SCHEME = "sandbox:"
GENERATE_URL = SCHEME + "generate"
STREAM_URL = SCHEME + "stream"
COUNT_URL = SCHEME + "count"
EMBED_URL = SCHEME + "embed"

POLICY = Policy(bare_quota_s=MINUTE_S, refreshes=False)

SANDBOX_MODELS: dict[str, str] = {
    "sandbox-echo": "Says back what the user said, word by word; honours JSON mode",
    "sandbox-slow": "Thinks in silence, then writes twenty words slowly",
    "sandbox-tools": "Calls the first declared function, then quotes its answer",
    "sandbox-image": "Draws a picture of one colour",
    sandbox_embed.MODEL: "Turns text into vectors",
    "sandbox-error-client": "Refuses every request as malformed",
    "sandbox-error-auth": "The upstream does not accept the credential",
    "sandbox-error-licence": "The credential's account lacks a licence",
    "sandbox-error-rate": "Too many requests this minute",
    "sandbox-error-quota": "The day's quota is used up",
    "sandbox-error-model-missing": "The upstream does not know the model",
    "sandbox-error-capacity": "The upstream is overloaded",
    "sandbox-error-server": "The upstream fails",
    "sandbox-error-timeout": "The upstream gives up after a second",
    "sandbox-error-broken-stream": "Some words, then an error inside the stream",
    "sandbox-error-cut-stream": "Some words, then the stream ends unfinished",
    "sandbox-error-empty": "An answer with nothing in it",
}

_JSON_HEADERS = {"content-type": "application/json; charset=UTF-8"}
_STREAM_HEADERS = {"content-type": "text/event-stream"}

_UNFINISHED_TEXT = "These words arrive whole, and then something"
_UNFINISHED_PAUSE_S = 0.05


class Play(Struct, frozen=True):
    """An answer as a script. `frames`: (seconds to wait before it, bytes), to be taken once."""

    status: int
    headers: dict[str, str]
    frames: Iterator[tuple[float, bytes]]


def exchange(call: Call, credential: Credential, endpoints: Endpoints) -> Exchange:
    yield from ()
    return Outgoing(
        method="POST",
        url=_url(call),
        headers={"content-type": "application/json"},
        body=codec.encode({**call.body, "model": call.model.id}),
        stream=call.stream,
    )


def _url(call: Call) -> str:
    if call.action is Action.COUNT_TOKENS:
        return COUNT_URL
    if call.action is Action.EMBED:
        return EMBED_URL
    return STREAM_URL if call.stream else GENERATE_URL


def decoder(call: Call) -> Decoder:
    return decoder_for(call)


def classify(answer: Answer) -> Verdict:
    """Judged as Google's errors are, only that nothing wears this credential out: the next call may use it again."""
    verdict = judge(answer, POLICY)
    if verdict.fault in (Fault.COOL_DOWN, Fault.DISABLE):
        return replace(verdict, fault=Fault.NEXT_CREDENTIAL)
    return verdict


def respond(outgoing: Outgoing) -> Play:
    """The answer to a request of `exchange`. The same request always gets the same answer."""
    request: Json = codec.loads_lenient(outgoing.body)
    if outgoing.url == COUNT_URL:
        request = {**request, **_inner(request)}
    prompt = read_prompt(request, zlib.crc32(outgoing.body))
    if prompt.model not in SANDBOX_MODELS:
        return _failed(unknown_model(prompt.model))
    if (prompt.model == sandbox_embed.MODEL) is not (outgoing.url == EMBED_URL):
        return _failed(unknown_model(prompt.model))
    if outgoing.url == EMBED_URL:
        return _json(200, sandbox_embed.embed(request))
    if prompt.model in FAILURES:
        return _failed(FAILURES[prompt.model])
    if outgoing.url == COUNT_URL:
        return _json(200, {"totalTokens": prompt.input_tokens})
    streaming = outgoing.url == STREAM_URL
    match prompt.model:
        case "sandbox-error-broken-stream" if streaming:
            return Play(200, _STREAM_HEADERS, _broken(prompt))
        case "sandbox-error-broken-stream":
            return _failed(BROKEN)
        case "sandbox-error-cut-stream" if streaming:
            return Play(200, _STREAM_HEADERS, _cut(prompt))
        case "sandbox-error-cut-stream":
            return Play(200, _JSON_HEADERS, iter([(0.0, b'{"candidates": [{"content": {"parts"')]))
        case "sandbox-error-empty":
            turn: Turn = iter([(0.0, {"usageMetadata": usage(prompt)})])
        case model:
            turn = MODELS[model](prompt)
    if streaming:
        return Play(200, _STREAM_HEADERS, _framed(turn))
    return _whole(turn)


def _inner(request: Json) -> Json:
    inner = request.get("generateContentRequest")
    return {**inner, "model": request.get("model")} if isinstance(inner, dict) else {}


def _failed(failure: Failure) -> Play:
    return _json(failure.status, failure.body(), failure.after_s)


def _json(status: int, value: Json, after_s: float = 0.0) -> Play:
    return Play(status, _JSON_HEADERS, iter([(after_s, codec.dumps(value))]))


def _frame(value: Json) -> bytes:
    return b"data: " + codec.dumps(value) + b"\n\n"


def _framed(turn: Turn) -> Iterator[tuple[float, bytes]]:
    for pause_s, one in turn:
        yield pause_s, _frame(one)


def _unfinished(prompt: Prompt) -> Iterator[tuple[float, bytes]]:
    for pause_s, one in speak(prompt, _UNFINISHED_TEXT, _UNFINISHED_PAUSE_S):
        one["candidates"][0].pop("finishReason", None)
        yield pause_s, _frame(one)


def _broken(prompt: Prompt) -> Iterator[tuple[float, bytes]]:
    yield from _unfinished(prompt)
    yield _UNFINISHED_PAUSE_S, _frame(BROKEN.body())


def _cut(prompt: Prompt) -> Iterator[tuple[float, bytes]]:
    yield from _unfinished(prompt)


def _whole(turn: Turn) -> Play:
    """The turn as one answer, after its long pauses; those that only pace a stream are left out."""
    replies = list(turn)
    last = replies[-1][1]
    parts: list[Json] = []
    for _, one in replies:
        for candidate in one.get("candidates", ()):
            parts += candidate["content"]["parts"]
    if parts:
        last = {**last, "candidates": [{**last["candidates"][0], "content": _content(parts)}]}
    return _json(200, last, sum(pause_s for pause_s, _ in replies if pause_s > ECHO_PAUSE_S))


def _content(parts: list[Json]) -> Json:
    """Pieces of one text become one part again; empty ones, which only end a stream, go."""
    joined: list[Json] = []
    for part in parts:
        if joined and part.keys() == {"text"} == joined[-1].keys():
            joined[-1] = {"text": joined[-1]["text"] + part["text"]}
        elif part != {"text": ""} or len(parts) == 1:
            joined.append(part)
    return {"role": "model", "parts": joined}

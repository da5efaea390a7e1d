"""Code Assist (reference 2): the canonical request in an envelope, with an OAuth access token and a project.

A private, undocumented API: everything here was read in other clients and nothing was tested against Google.
"""

from __future__ import annotations

from typing import Any

from apiproxy.providers.base import Decoder, Exchange
from apiproxy.providers.decoding import decoder_for
from apiproxy.providers.judgement import Policy, judge
from apiproxy.providers.resets import HOUR_S
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Answer, Call, Credential, Endpoints, Outgoing, Verdict

Json = dict[str, Any]

VERSION = "v1internal"
USER_AGENT = "GeminiCLI/0.56.0/{model} (linux; x64; terminal)"
"""The form of reference 2.2: version, model, system, architecture, surface."""

ALIASES = {"gemini-3.5-flash": "gemini-3-flash"}
"""Catalogue name -> the name this upstream knows the model by (reference 2.6, not verified)."""

POLICY = Policy(bare_quota_s=4 * HOUR_S, refreshes=True)

_REQUEST_FIELDS = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "labels",
        "safetySettings",
        "generationConfig",
        "session_id",
    }
)
"""Accepted inside `request`; any other name is a 400 (reference 2.3). `cachedContent` is accepted too, but there are no
caches here: a name that does not exist would look like a model that is missing."""

_CONFIG_FIELDS = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "responseLogprobs",
        "logprobs",
        "presencePenalty",
        "frequencyPenalty",
        "seed",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "routingConfig",
        "modelSelectionConfig",
        "responseModalities",
        "mediaResolution",
        "speechConfig",
        "audioTimestamp",
        "thinkingConfig",
    }
)

_ENVELOPE_FIELDS = frozenset({"traceId", "consumedCredits", "remainingCredits"})


def exchange(call: Call, credential: Credential, endpoints: Endpoints) -> Exchange:
    yield from ()
    model = model_name(call)
    counting = call.action is Action.COUNT_TOKENS
    return Outgoing(
        method="POST",
        url=f"{endpoints.code_assist}/{VERSION}:{_method(call)}",
        headers=headers(
            credential, model, accept="text/event-stream" if call.stream else "application/json"
        ),
        body=codec.encode(
            _count_envelope(call, model) if counting else _envelope(call, model, credential)
        ),
        stream=call.stream,
    )


def decoder(call: Call) -> Decoder:
    return decoder_for(call, unwrap)


def classify(answer: Answer) -> Verdict:
    return judge(answer, POLICY)


def headers(
    credential: Credential, model: str, *, accept: str = "application/json"
) -> dict[str, str]:
    return {
        "authorization": f"Bearer {credential.token}",
        "content-type": "application/json",
        "user-agent": USER_AGENT.format(model=model),
        "accept": accept,
    }


def model_name(call: Call) -> str:
    """The bare id: here the `models/` prefix is refused."""
    name = call.model.id.removeprefix("models/")
    return ALIASES.get(name, name)


def unwrap(envelope: Json) -> Json:
    """The Gemini answer inside (reference 2.4); an error and a token count stand in no envelope."""
    response = envelope.get("response")
    if type(response) is dict:
        return response
    return {name: value for name, value in envelope.items() if name not in _ENVELOPE_FIELDS}


def _method(call: Call) -> str:
    if call.action is Action.COUNT_TOKENS:
        return "countTokens"
    return "streamGenerateContent?alt=sse" if call.stream else "generateContent"


def _envelope(call: Call, model: str, credential: Credential) -> Json:
    request = _accepted(call.body, _REQUEST_FIELDS)
    if isinstance(config := request.get("generationConfig"), dict):
        request["generationConfig"] = _accepted(config, _CONFIG_FIELDS)
    envelope: Json = {"model": model}
    if credential.project:
        envelope["project"] = credential.project
    return {**envelope, "user_prompt_id": call.head.request_id, "request": request}


def _count_envelope(call: Call, model: str) -> Json:
    """Its own shape: no project, the model inside and with its prefix, nothing but contents (reference 2.3)."""
    body = call.body.get("generateContentRequest", call.body)
    contents = body.get("contents", []) if isinstance(body, dict) else []
    return {"request": {"model": f"models/{model}", "contents": _without_thoughts(contents)}}


def _accepted(value: Json, names: frozenset[str]) -> Json:
    """Native clients may write snake_case, which this upstream reads as well."""
    return {name: item for name, item in value.items() if name in names or _camel(name) in names}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def _without_thoughts(contents: Any) -> Any:
    """Thought parts as plain text: countTokens refuses them."""
    if not isinstance(contents, list):
        return contents
    return [
        {**content, "parts": [_plain(part) for part in content["parts"]]}
        if isinstance(content, dict) and isinstance(content.get("parts"), list)
        else content
        for content in contents
    ]


def _plain(part: Any) -> Any:
    if not (isinstance(part, dict) and part.get("thought")):
        return part
    signature = ("thought", "thoughtSignature", "thought_signature")
    return {name: value for name, value in part.items() if name not in signature}

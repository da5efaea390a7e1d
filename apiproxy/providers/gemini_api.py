"""The official Gemini API (reference 3): the canonical request as it is, with an API key."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from apiproxy.providers.base import Decoder, Exchange
from apiproxy.providers.decoding import decoder_for
from apiproxy.providers.judgement import Policy, judge
from apiproxy.providers.resets import MINUTE_S
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Answer, Call, Credential, Endpoints, Outgoing, Verdict

Json = dict[str, Any]

VERSION = "v1beta"

# A bare "Resource has been exhausted" is seen both for a busy minute and for a day that is used up.
POLICY = Policy(bare_quota_s=10 * MINUTE_S, refreshes=False)

SAFETY_CATEGORIES = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
)
"""The categories this upstream serves; those of others can turn the request into a 400 (reference 3.3)."""

_REFUSED_FIELDS = frozenset({"labels", "model"})


def exchange(call: Call, credential: Credential, endpoints: Endpoints) -> Exchange:
    yield from ()
    return Outgoing(
        method="POST",
        url=f"{endpoints.gemini_api}/{VERSION}/{_path(call.model.id)}:{_method(call)}",
        headers={"x-goog-api-key": credential.token, "content-type": "application/json"},
        body=codec.encode(_body(call)),
        stream=call.stream,
    )


def decoder(call: Call) -> Decoder:
    return decoder_for(call)


def classify(answer: Answer) -> Verdict:
    return judge(answer, POLICY)


def request_body(body: Json) -> Json:
    """The canonical request without what this upstream refuses; `body` itself stays whole for the next upstream."""
    if not _REFUSED_FIELDS.isdisjoint(body):
        body = {name: value for name, value in body.items() if name not in _REFUSED_FIELDS}
    settings = body.get("safetySettings")
    if isinstance(settings, list) and not all(map(_is_served, settings)):
        body = {**body, "safetySettings": list(filter(_is_served, settings))}
    return body


def _is_served(setting: Any) -> bool:
    """False for a harm category of other upstreams. What is no such setting is left for Google to explain."""
    category = setting.get("category") if isinstance(setting, dict) else None
    return not isinstance(category, str) or category in SAFETY_CATEGORIES


def _body(call: Call) -> Json:
    if call.action is Action.COUNT_TOKENS:
        return _count_body(call)
    if call.action is Action.EMBED:
        return _embed_body(call)
    return request_body(call.body)


def _embed_body(call: Call) -> Json:
    """Each request of a batch repeats the model of the URL, the single form may; a client's own name may be an alias."""
    named = {"model": _resource(call.model.id)}
    requests = call.body.get("requests")
    if requests is None:
        return {**call.body, **named}
    return {**call.body, "requests": [{**request, **named} for request in requests]}


def _count_body(call: Call) -> Json:
    """`{contents}`, or the form whose system instruction and tools count too (reference 3.1)."""
    body = call.body.get("generateContentRequest", call.body)
    request = request_body(body) if isinstance(body, dict) else {}
    if request.keys() <= {"contents"}:
        return request
    return {"generateContentRequest": {"model": _resource(call.model.id), **request}}


def _method(call: Call) -> str:
    if call.action is Action.COUNT_TOKENS:
        return "countTokens"
    if call.action is Action.EMBED:
        return "batchEmbedContents" if "requests" in call.body else "embedContent"
    return "streamGenerateContent?alt=sse" if call.stream else "generateContent"


def _resource(model: str) -> str:
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"


def _path(model: str) -> str:
    collection, _, name = _resource(model).partition("/")
    return f"{collection}/{quote(name, safe='')}"

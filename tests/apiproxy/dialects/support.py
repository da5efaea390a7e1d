"""Models, heads and recorded cases for the tests of the dialects."""

import json
from pathlib import Path

from apiproxy.dialects import DIALECTS
from apiproxy.wire.types import Head, Model, Thinking
from gateway.lib.errors import InvalidRequest, UnknownModel

_CASES = Path(__file__).parent.parent / "cases"

_SECOND = frozenset({"chat", "vision", "audio", "tools", "json", "search", "candidates"})
_THIRD = frozenset({"chat", "vision", "audio", "tools", "json", "search"})


def _third(name, *levels, **fields):
    return Model(
        id=name,
        providers=("gemini_api",),
        capabilities=_THIRD,
        strict_signatures=True,
        tools_with_json=True,
        thinking=Thinking(control="level", levels=levels),
        **fields,
    )


def _second(name, low, high, *, can_disable):
    return Model(
        id=name,
        providers=("gemini_api", "code_assist"),
        capabilities=_SECOND,
        thinking=Thinking(
            control="budget", min_budget=low, max_budget=high, can_disable=can_disable
        ),
    )


MODELS = {
    model.id: model
    for model in (
        _second("gemini-2.5-pro", 128, 32768, can_disable=False),
        _second("gemini-2.5-flash", 1, 24576, can_disable=True),
        _second("gemini-2.5-flash-lite", 512, 24576, can_disable=True),
        _third("gemini-3-flash-preview", "minimal", "low", "medium", "high"),
        _third("gemini-3.1-pro-preview", "low", "medium", "high"),
        Model(
            id="gemini-2.5-flash-image",
            providers=("gemini_api",),
            capabilities=frozenset({"chat", "vision", "image_output"}),
            output_limit_tokens=32768,
        ),
        Model(
            id="gemini-3.1-flash-image",
            providers=("gemini_api",),
            capabilities=frozenset({"chat", "vision", "image_output"}),
            strict_signatures=True,
            thinking=Thinking(control="level", levels=("minimal", "high")),
        ),
        Model(id="gemini-2.5-flash-preview-tts", providers=("gemini_api",)),
        Model(
            id="gemini-embedding-001",
            providers=("gemini_api",),
            capabilities=frozenset({"embedding"}),
        ),
        Model(
            id="probability-model",
            providers=("sandbox",),
            capabilities=frozenset({"chat", "logprobs"}),
        ),
    )
}

HEAD = Head(
    request_id="req_0042",
    received_at=1_700_000_000.9,
    path_model="gemini-2.5-flash",
    path_method="generateContent",
)


def resolve(name):
    bare = name.removeprefix("models/")
    if not bare:
        raise InvalidRequest("name a model", param="model")
    if bare not in MODELS:
        raise UnknownModel("no such model", param="model")
    return MODELS[bare]


def parse(body, dialect="openai-chat", head=HEAD):
    return DIALECTS[dialect].parse(body, head, resolve)


def chat(**fields):
    """A Chat Completions request that is right but for `fields`."""
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]}
    return {**body, **fields}


def cases(dialect):
    paths = sorted((_CASES / dialect).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

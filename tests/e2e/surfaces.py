"""Every address that takes a body: in whose shape it answers, and a request that is right there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from apiproxy import routes
from tests.e2e.dialects import GEMINI, MODEL, OPENAI

Json = dict[str, Any]

_SAY = [{"role": "user", "content": "hello"}]
_CONTENTS = [{"role": "user", "parts": [{"text": "hello"}]}]
_PICTURE = "data:image/png;base64,iVBORw0KGgo="
_IMAGE_MODEL = "gemini-2.5-flash-image"
_EMBEDDING_MODEL = "gemini-embedding-001"

_BODIES: dict[str, Json] = {
    "/v1/chat/completions": {"model": MODEL, "messages": _SAY},
    "/v1/responses": {"model": MODEL, "input": "hello", "store": False},
    "/v1/messages": {"model": MODEL, "messages": _SAY, "max_tokens": 100},
    "/v1/messages/count_tokens": {"model": MODEL, "messages": _SAY},
    "/v1/embeddings": {"model": _EMBEDDING_MODEL, "input": "hello"},
    "/v1/images/generations": {"model": _IMAGE_MODEL, "prompt": "hello"},
    "/v1/images/edits": {"model": _IMAGE_MODEL, "prompt": "hello", "image": _PICTURE},
    "/v1/images/edit": {"model": _IMAGE_MODEL, "prompt": "hello", "image": _PICTURE},
    "/v1/images/variations": {"model": _IMAGE_MODEL, "image": _PICTURE},
    "/v1/generate": {"model": MODEL, "prompt": "hello"},
    "/v1/generate-images": {"model": _IMAGE_MODEL, "prompt": "hello"},
}
_METHODS: dict[str, tuple[str, Json]] = {
    "generateContent": (MODEL, {"contents": _CONTENTS}),
    "streamGenerateContent": (MODEL, {"contents": _CONTENTS}),
    "countTokens": (MODEL, {"contents": _CONTENTS}),
    "embedContent": (_EMBEDDING_MODEL, {"content": _CONTENTS[0]}),
    "batchEmbedContents": (_EMBEDDING_MODEL, {"requests": [{"content": _CONTENTS[0]}]}),
}


class Surface(Struct, frozen=True):
    path: str
    dialect: str
    body: Json

    def check_error(self, answer: Json, status: int) -> str:
        """The words of an error, after a look at its shape."""
        if self.dialect == "gemini":
            return GEMINI.check_error(answer, status)["message"]
        if self.dialect == "anthropic-messages":
            assert answer["type"] == "error"
            assert answer["error"].keys() == {"type", "message"}
            return answer["error"]["message"] + answer["request_id"]
        return OPENAI.check_error(answer, status)["message"]


def _native(prefix: str, method: str) -> Surface:
    model, body = _METHODS[method]
    return Surface(f"{prefix}/models/{model}:{method}", "gemini", body)


SURFACES = [
    *(Surface(path, route.dialect, _BODIES[path]) for path, route in routes._POSTS.items()),
    *(_native("/v1beta", method) for method in _METHODS),
    *(_native(prefix, "generateContent") for prefix in ("/v1", "/gemini/v1beta")),
]

every_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda one: one.path)

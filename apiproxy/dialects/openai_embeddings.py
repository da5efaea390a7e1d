"""OpenAI's `/v1/embeddings` (reference 3.6): the functions of `base.Dialect`.

Vectors come out at unit length whatever their size: OpenAI's clients compare them by their dot product, and Google
does not normalise the smaller sizes of gemini-embedding-001. Token counts are estimates.
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

from apiproxy.dialects.base import Resolve
from apiproxy.dialects.embeddings import BATCH_LIMIT, input_tokens
from apiproxy.dialects.fields import (
    as_choice,
    as_integer,
    as_name,
    as_object,
    as_text,
    not_understood,
    wrong,
)
from apiproxy.dialects.whole_only import refuse_stream, render_error, stream, stream_headers
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Call, EmbeddingFormat, Head, Json
from gateway.lib.errors import InvalidRequest, UpstreamFailed

__all__ = ["parse", "render", "render_error", "stream", "stream_headers"]

_UNDERSTOOD = frozenset(
    {"dimensions", "encoding_format", "input", "input_type", "model", "stream", "task_type"}
)
_MOST_INPUTS = 2048
_INT32 = 2**31 - 1
_UNIT_TOLERANCE = 1e-6

_FORMATS: dict[str, EmbeddingFormat] = {"float": "float", "base64": "base64"}
_GOOGLE_TASKS = (
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
# `input_type` as other vendors spell it, beside Google's own words in either case.
_TASKS = {task.lower(): task for task in _GOOGLE_TASKS} | {
    "query": "RETRIEVAL_QUERY",
    "search_query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "passage": "RETRIEVAL_DOCUMENT",
    "search_document": "RETRIEVAL_DOCUMENT",
}


def parse(body: Json, head: Head, resolve: Resolve) -> Call:
    as_object(body, "")
    requested = as_name(body.get("model"), "model")
    model = resolve(requested)
    refuse_stream(body)
    texts = _texts(body.get("input"))
    options = _options(body)
    wanted = body.get("encoding_format")
    chosen = "float" if wanted is None else as_choice(wanted, "encoding_format", _FORMATS)
    return Call(
        head=head,
        dialect="openai-embeddings",
        model=model,
        requested_model=requested,
        action=Action.EMBED,
        stream=False,
        body={"requests": [{"content": {"parts": [{"text": text}]}, **options} for text in texts]},
        answers=-(-len(texts) // BATCH_LIMIT),
        embedding_format=_FORMATS[chosen],
        dropped=not_understood(body, _UNDERSTOOD),
    )


def _texts(value: Any) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list):
        raise wrong("input", value, "a string or a list of strings")
    if not 1 <= len(given) <= _MOST_INPUTS:
        raise InvalidRequest(f"input must hold from 1 to {_MOST_INPUTS} texts", param="input")
    return [
        _text(item, f"input[{n}]" if given is value else "input") for n, item in enumerate(given)
    ]


def _text(item: Any, at: str) -> str:
    if isinstance(item, list) or (isinstance(item, int) and not isinstance(item, bool)):
        raise InvalidRequest(
            "input holds token numbers, which mean nothing to Google's models: send the texts "
            "themselves (LangChain: check_embedding_ctx_length=False)",
            param="input",
        )
    text = as_text(item, at)
    if not text:
        raise InvalidRequest(f"{at} must not be empty", param=at)
    return text


def _options(body: Json) -> Json:
    options: Json = {}
    if (size := body.get("dimensions")) is not None:
        options["outputDimensionality"] = as_integer(size, "dimensions", 1, _INT32)
    for key in ("task_type", "input_type"):
        if (task := body.get(key)) is not None:
            word = task.lower() if isinstance(task, str) else task
            options["taskType"] = _TASKS[as_choice(word, key, _TASKS)]
            break
    return options


def render(call: Call, replies: list[Json]) -> bytes:
    found = [embedding for reply in replies for embedding in _embeddings(reply)]
    if len(found) != len(call.body["requests"]):
        raise UpstreamFailed("the upstream did not embed every input: try again")
    tokens = input_tokens(call.body)
    return codec.dumps(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _encoded(call, embedding)}
                for index, embedding in enumerate(found)
            ],
            "model": call.requested_model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _embeddings(reply: Json) -> list[Any]:
    found = reply.get("embeddings")
    return found if isinstance(found, list) else []


def _encoded(call: Call, embedding: Any) -> list[float] | str:
    try:
        values = _unit(embedding["values"])
        if call.embedding_format == "float":
            return values
        # What the openai SDK asks for unless told otherwise.
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except (KeyError, TypeError, OverflowError, struct.error) as exc:
        raise UpstreamFailed("the upstream's embedding cannot be read: try again") from exc


def _unit(values: list[float]) -> list[float]:
    length = math.hypot(*values)
    if not length or abs(length - 1) < _UNIT_TOLERANCE:
        return values
    return [value / length for value in values]

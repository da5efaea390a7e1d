"""What the fake's models say: a scenario's content as a list of Gemini response objects.

Each builder returns the objects of a stream without usage and metadata, which ``dressed`` adds;
``merged`` makes the one object of a unary answer from them.
"""

import base64
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.google_models import Model
from tests.fakes.google_rules import declared_functions
from tests.fakes.google_sample import sample
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_turns import answers_of
from tests.fakes.google_usage import count_request, usage

Json = dict[str, Any]

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
_GROUNDED = "Zürich liegt am See 🏔️. 東京は日本の首都です。"
_THOUGHT = "**Considering the question**\n\nI should say what was asked."
_response_numbers = itertools.count(1)


@dataclass(frozen=True)
class Asked:
    """A valid generation request, in the parsed form of the public API."""

    model: Model
    body: Json
    code_assist: bool
    signatures: SignatureBook

    @property
    def config(self) -> Json:
        return self.body.get("generationConfig", {})

    @property
    def last(self) -> Json:
        return self.body["contents"][-1]

    @property
    def last_text(self) -> str:
        """What the user said last."""
        for content in reversed(self.body["contents"]):
            texts = [part["text"] for part in content["parts"] if part.get("text")]
            if content.get("role", "user") != "model" and texts:
                return " ".join(texts)
        return "nothing"

    @property
    def functions(self) -> list[Json]:
        calling = self.body.get("toolConfig", {}).get("functionCallingConfig", {})
        if calling.get("mode") == "NONE":
            return []
        allowed = calling.get("allowedFunctionNames")
        functions = declared_functions(self.body)
        return [f for f in functions if f["name"] in allowed] if allowed else functions

    @property
    def must_call(self) -> bool:
        calling = self.body.get("toolConfig", {}).get("functionCallingConfig", {})
        return calling.get("mode") == "ANY" and bool(self.functions)

    @property
    def is_answering_calls(self) -> bool:
        return bool(answers_of(self.last))

    def sign(self, part: Json, options: Json) -> Json:
        """``part`` with a thought signature, if this model signs at all."""
        if not self.model.thinks or options.get("signed") is False:
            return part
        signature = self.signatures.issue(self.model.name, self.model.family, part)
        return {**part, "thoughtSignature": signature}


def _chunk(parts: list[Json], index: int = 0, **extra: Any) -> Json:
    content = {"role": "model", "parts": parts}
    return {"candidates": [{"content": content, "index": index, **extra}]}


def _finish(options: Json) -> Json:
    finish: Json = {"finishReason": options.get("finish_reason", "STOP")}
    if "finish_message" in options:
        finish["finishMessage"] = options["finish_message"]
    return finish


def _pieces(text: str, count: int) -> list[str]:
    """``text`` cut into at most ``count`` similar pieces."""
    count = max(1, min(count, len(text)))
    cuts = [len(text) * place // count for place in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]


def build(content: str, asked: Asked, options: Json) -> list[Json]:
    chunks = _BUILDERS[content](asked, dict(options))
    if "extra" in options:
        chunks[-1]["candidates"][-1].update(options["extra"])
    return chunks


def _text(asked: Asked, options: Json) -> list[Json]:
    if "chunks" in options:
        return _given(options)
    if "text" not in options:
        if asked.must_call and not asked.is_answering_calls:
            return _tool_call(asked, options)
        if asked.model.output == "image":
            return _image(asked, options)
        if asked.model.output == "audio":
            return _speech(asked, options)
        if asked.config.get("responseMimeType") in ("application/json", "text/x.enum"):
            return _json(asked, options)
    thinking = asked.config.get("thinkingConfig", {})
    if "thoughts" in options or ("text" not in options and thinking.get("includeThoughts")):
        return _thoughts(asked, options)
    if asked.config.get("candidateCount", 1) > 1 or "candidates" in options:
        return _candidates(asked, options)
    pieces = _pieces(_said(asked, options), options.get("count", 3))
    chunks = [_chunk([{"text": piece}]) for piece in pieces]
    chunks[-1]["candidates"][0] |= _finish(options)
    return chunks


def _said(asked: Asked, options: Json) -> str:
    if "quote" in options:
        found = re.search(options["quote"], json.dumps(asked.body, ensure_ascii=False))
        return options.get("text", "") + (found[0] if found else "")
    if "text" in options:
        return options["text"]
    answers = answers_of(asked.last)
    if answers:
        said = [
            f"{a['name']} said {json.dumps(a['response'], ensure_ascii=False)}" for a in answers
        ]
        return " and ".join(said)
    return f"You said: {asked.last_text}"


def _given(options: Json) -> list[Json]:
    chunks: list[Json] = []
    for item in options["chunks"]:
        if isinstance(item, dict):
            chunks.append(json.loads(json.dumps(item)))
        else:
            chunks.append(_chunk([{"text": item}] if isinstance(item, str) else list(item)))
    if chunks and isinstance(options["chunks"][-1], str | list):
        chunks[-1]["candidates"][0] |= _finish(options)
    return chunks


def _auto(asked: Asked, options: Json) -> list[Json]:
    if asked.functions and not asked.is_answering_calls:
        return _tool_call(asked, options)
    return _text(asked, options)


def _thoughts(asked: Asked, options: Json) -> list[Json]:
    summary = options.get("thoughts") or _THOUGHT
    chunks = [_chunk([{"text": piece, "thought": True}]) for piece in _pieces(summary, 2)]
    chunks += [_chunk([{"text": piece}]) for piece in _pieces(_said(asked, options), 2)]
    # The signature of plain text comes last, on a part whose text is empty.
    return [*chunks, _chunk([asked.sign({"text": ""}, options)], **_finish(options))]


def _thoughts_only(asked: Asked, options: Json) -> list[Json]:
    summary = options.get("thoughts") or _THOUGHT
    chunks = [_chunk([{"text": piece, "thought": True}]) for piece in _pieces(summary, 2)]
    chunks[-1]["candidates"][0] |= _finish(options)
    return chunks


def _call_parts(asked: Asked, options: Json, count: int) -> list[Json]:
    calls = options.get("calls")
    if calls is None:
        functions = asked.functions or [{"name": "get_weather"}]
        chosen = list(itertools.islice(itertools.cycle(functions), count))
        calls = [{"name": function["name"], "args": _arguments(function)} for function in chosen]
    parts: list[Json] = []
    for call in calls:
        shown: Json = {"name": call["name"], "args": call.get("args", {})}
        if options.get("ids", True):
            shown["id"] = call.get("id") or f"fc{next(_response_numbers):06d}"
        if options.get("args") is False or ("args" not in call and not shown["args"]):
            del shown["args"]
        parts.append({"functionCall": shown})
    if parts:
        parts[0] = asked.sign(parts[0], options)
    return parts


def _arguments(function: Json) -> Any:
    schema = function.get("parametersJsonSchema") or function.get("parameters")
    if schema is None:
        return {"city": "Zürich"} if function["name"] == "get_weather" else {}
    return sample(schema)


def _tool_call(asked: Asked, options: Json, count: int = 1) -> list[Json]:
    if asked.is_answering_calls and "calls" not in options:
        return _text(asked, {"text": _said(asked, options), **options})
    chunks: list[Json] = []
    if options.get("thoughts"):
        chunks.append(_chunk([{"text": options["thoughts"], "thought": True}]))
    if "text" in options:
        chunks.append(_chunk([{"text": options["text"]}]))
    parts = _call_parts(asked, options, count)
    chunks += [_chunk([part]) for part in parts] if options.get("spread") else [_chunk(parts)]
    if options.get("separate_stop"):
        return [*chunks, _chunk([{"text": ""}], **_finish(options))]
    chunks[-1]["candidates"][0] |= _finish(options)
    return chunks


def _parallel_calls(asked: Asked, options: Json) -> list[Json]:
    return _tool_call(asked, options, options.get("count", 2))


def _image(asked: Asked, options: Json) -> list[Json]:
    data = options.get("image", _PIXEL)
    if "size" in options:
        data = base64.b64encode(bytes(options["size"])).decode()
    blob = {"inlineData": {"mimeType": options.get("mime", "image/png"), "data": data}}
    chunks = []
    if options.get("thought_image"):
        chunks.append(_chunk([{**blob, "thought": True}]))
    if options.get("text") or "".join(asked.config.get("responseModalities", [])) != "IMAGE":
        chunks.append(_chunk([{"text": options.get("text", "Here is the picture.")}]))
    return [*chunks, _chunk([asked.sign(blob, options)], **_finish(options))]


def _speech(asked: Asked, options: Json) -> list[Json]:
    """Bare samples, in pieces of any length."""
    blobs = [
        {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(samples).decode()}
        for samples in (bytes(4), b"\x01\x00", bytes(2))
    ]
    chunks = [_chunk([{"inlineData": blob}]) for blob in blobs]
    chunks[-1]["candidates"][0] |= _finish(options)
    return chunks


def _grounding(asked: Asked, options: Json) -> list[Json]:
    text = options.get("text", _GROUNDED)
    cut = text.find(". ") + 1 or len(text)
    supports, start = [], 0
    for place, sentence in enumerate(filter(None, (text[:cut], text[cut:]))):
        end = start + len(sentence.encode())  # Google counts bytes of UTF-8
        segment = {"endIndex": end, "text": sentence} | ({"startIndex": start} if start else {})
        supports.append({"segment": segment, "groundingChunkIndices": [place]})
        start = end
    web = [
        {"web": {"uri": f"https://vertexaisearch.example/grounding/{name}", "title": name}}
        for name in ("zuerich.example", "tokyo.example")
    ]
    metadata = {
        "webSearchQueries": [asked.last_text],
        "searchEntryPoint": {"renderedContent": "<div>Search suggestions</div>"},
        "groundingChunks": web[: len(supports)],
        "groundingSupports": supports,
    }
    chunks = [_chunk([{"text": piece}]) for piece in _pieces(text, 3)]
    chunks[-1]["candidates"][0] |= {**_finish(options), "groundingMetadata": metadata}
    return chunks


def _code_execution(asked: Asked, options: Json) -> list[Json]:
    code = {"executableCode": {"language": "PYTHON", "code": "print(sum(range(5)))\n"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "10\n"}}
    return [
        _chunk([{"text": "Let me compute that.\n"}]),
        _chunk([code]),
        _chunk([result]),
        _chunk([{"text": options.get("text", "The sum is 10.")}], **_finish(options)),
    ]


def _candidates(asked: Asked, options: Json) -> list[Json]:
    """Each candidate's pieces in turn, as a stream interleaves them."""
    many = options.get("candidates") or asked.config.get("candidateCount") or 2
    texts = [f"{_said(asked, options)} ({number + 1})" for number in range(many)]
    rows = [_pieces(text, 2) for text in texts]
    chunks = [
        _chunk([{"text": row[place]}], index)
        for place in range(2)
        for index, row in enumerate(rows)
        if place < len(row)
    ]
    for chunk in chunks[-many:]:
        chunk["candidates"][0] |= _finish(options)
    return chunks


def _max_tokens_empty(asked: Asked, options: Json) -> list[Json]:
    options.setdefault("thoughts_tokens", asked.config.get("maxOutputTokens", 100))
    candidate: Json = {"index": 0, "finishReason": "MAX_TOKENS"}
    if options.get("shape", "no_parts") == "no_parts":
        candidate["content"] = {"role": "model"}
    return [{"candidates": [candidate]}]


def _blocked_prompt(asked: Asked, options: Json) -> list[Json]:
    rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}
    reason = options.get("block_reason", "PROHIBITED_CONTENT")
    return [{"promptFeedback": {"blockReason": reason, "safetyRatings": [rating]}}]


def _no_content(asked: Asked, options: Json) -> list[Json]:
    return [{"candidates": [{"index": 0, **_finish(options)}]}]


def _json(asked: Asked, options: Json) -> list[Json]:
    schema = asked.config.get("responseJsonSchema", asked.config.get("responseSchema"))
    value = sample(schema) if schema else {"answer": f"You said: {asked.last_text}"}
    value = options.get("json", value)
    is_bare = asked.config.get("responseMimeType") == "text/x.enum" and isinstance(value, str)
    text = value if is_bare else json.dumps(value, ensure_ascii=False)
    return _text(asked, {**options, "text": text})


_BUILDERS: dict[str, Callable[[Asked, Json], list[Json]]] = {
    "text": _text,
    "auto": _auto,
    "thoughts": _thoughts,
    "thoughts_only": _thoughts_only,
    "tool_call": _tool_call,
    "parallel_calls": _parallel_calls,
    "image": _image,
    "grounding": _grounding,
    "code_execution": _code_execution,
    "candidates": _candidates,
    "max_tokens_empty": _max_tokens_empty,
    "blocked_prompt": _blocked_prompt,
    "no_content": _no_content,
    "json": _json,
}


def dressed(chunks: list[Json], asked: Asked, options: Json) -> list[Json]:
    """Add usage, model version and response id, and the little ways of each upstream."""
    response_id = f"fake-response-{next(_response_numbers)}"
    prompt, mode = count_request(asked.body), options.get("usage", "all")
    for place, chunk in enumerate(chunks):
        for candidate in chunk.get("candidates", []):
            if options.get("finish") is False:
                candidate.pop("finishReason", None)
            if asked.code_assist and candidate.get("index") == 0:
                del candidate["index"]  # Code Assist leaves out what is 0
        if mode == "all" or (mode == "last" and place == len(chunks) - 1):
            counted = usage(prompt, chunks[: place + 1], options, code_assist=asked.code_assist)
            chunk["usageMetadata"] = counted
        chunk["modelVersion"] = options.get("model_version", asked.model.name)
        if asked.code_assist:
            chunk["createTime"] = "2026-11-20T10:00:00.123456Z"
        chunk["responseId"] = response_id
    return chunks


def merged(chunks: list[Json]) -> Json:
    """The unary answer that says what the stream's chunks say."""
    whole: Json = {}
    candidates: dict[int, Json] = {}
    for chunk in chunks:
        for candidate in chunk.get("candidates", []):
            known = candidates.setdefault(candidate.get("index", 0), {})
            parts = candidate.get("content", {}).get("parts", [])
            before = known.get("content", {}).get("parts")
            known |= candidate
            if parts or before:
                known["content"] = {"role": "model", "parts": _joined((before or []) + parts)}
        whole |= chunk
    if candidates:
        whole["candidates"] = list(candidates.values())
    return whole


def _joined(parts: list[Json]) -> list[Json]:
    joined: list[Json] = []
    for part in parts:
        last = joined[-1] if joined else {}
        same = "text" in last and last.keys() <= {"text", "thought"} and "text" in part
        if same and last.get("thought") == part.get("thought"):
            joined[-1] = {**last, **part, "text": last["text"] + part["text"]}
        elif part != {"text": ""} or not joined:
            joined.append(part)
    return joined

"""Recorded answers of Gemini, without any upstream's envelope: what every provider must make of them."""

_USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}


def _candidate(parts, **more):
    return {"content": {"role": "model", "parts": parts}, "index": 0, **more}


def _reply(*parts, usage=_USAGE, **more):
    return {"candidates": [_candidate(list(parts), **more)], "usageMetadata": usage}


REPLIES = {
    "text": [
        _reply({"text": "Hello"}),
        _reply({"text": ", world"}, finishReason="STOP"),
    ],
    "thoughts": [
        _reply({"text": "Let me see.", "thought": True}),
        _reply({"text": "42"}),
        _reply({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP"),
    ],
    "tool calls": [
        _reply({"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}),
        _reply({"functionCall": {"name": "g"}}),
        _reply({"text": ""}, finishReason="STOP"),
    ],
    "an image": [
        _reply(
            {"inlineData": {"mimeType": "image/png", "data": "A" * 100_000}}, finishReason="STOP"
        )
    ],
    "grounding": [
        _reply({"text": "É"}, finishReason="STOP", groundingMetadata={"webSearchQueries": ["x"]})
    ],
    "unicode line ends": [_reply({"text": "one\u2028two\u2029three\u0085four"})],
    "characters of several bytes": [_reply({"text": "Grüße aus 東京 🏔️"})],
    "sse inside a text": [_reply({"text": 'data: {"a":1}\n\ndata: [DONE]\n\n: x'})],
    "tokens eaten by thoughts": [
        {"candidates": [{"finishReason": "MAX_TOKENS", "index": 0}], "usageMetadata": _USAGE}
    ],
    "blocked prompt": [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": _USAGE}],
    "unknown fields": [{**_reply({"text": "x", "newFlag": 1}), "newField": {"a": None}}],
    "no finish": [_reply({"text": "cut"})],
    "nothing": [],
}

ERROR = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}

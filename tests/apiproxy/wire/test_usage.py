import pytest

from apiproxy.wire.types import Usage
from apiproxy.wire.usage import blocked, candidates, delivers, finished, parts, usage_of


def test_counts_follow_the_meaning_of_usage():
    counts = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 157,
    }
    assert usage_of({"usageMetadata": counts}) == Usage(
        input_tokens=107, output_tokens=20, cached_tokens=60, thinking_tokens=30
    )


def test_missing_and_odd_counts_are_zero():
    odd = {"promptTokenCount": "x", "candidatesTokenCount": None, "thoughtsTokenCount": -5}
    assert usage_of({"usageMetadata": odd}) == Usage()
    assert usage_of({}) is None
    assert usage_of({"usageMetadata": 5}) is None


def reply(*found, **candidate):
    return {"candidates": [{"content": {"parts": list(found)}, **candidate}]}


@pytest.mark.parametrize(
    "part",
    [
        {"text": "a"},
        {"functionCall": {"name": "f"}},
        {"inlineData": {"data": "AA=="}},
        {"fileData": {"fileUri": "u"}},
        {"executableCode": {}},
        {"codeExecutionResult": {}},
    ],
)
def test_content_counts_as_delivered(part):
    assert delivers(reply({"text": ""}, part))
    assert not delivers(reply(part | {"thought": True}))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        reply(),
        reply({"text": ""}, finishReason="STOP"),
        reply({"text": "", "thoughtSignature": "s"}),
        {"candidates": [{"finishReason": "MAX_TOKENS"}]},
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"usageMetadata": {"candidatesTokenCount": 5}},
        {"candidates": "x"},
    ],
)
def test_nothing_visible_is_not_delivered(answer):
    assert not delivers(answer)


def test_the_second_candidate_counts_too():
    answer = {"candidates": [{}, {"content": {"parts": [{"text": "a"}]}}]}
    assert delivers(answer)


def test_what_ends_a_stream():
    assert finished(reply(finishReason="STOP"))
    assert finished({"promptFeedback": {"blockReason": "OTHER"}})
    assert not finished(reply({"text": "a"}))
    assert not finished({"promptFeedback": {"safetyRatings": []}})
    assert not finished({})


def test_readers_skip_what_they_cannot_read():
    assert candidates({"candidates": [5, {"a": 1}, None]}) == [{"a": 1}]
    assert parts({"content": {"parts": ["x", {"text": "a"}]}}) == [{"text": "a"}]
    assert blocked({"promptFeedback": 5}) == ""

import pytest

from apiproxy.dialects.replies import merge, only_text


def test_one_reply_is_itself():
    reply = {"candidates": [], "anything": 1}
    assert merge([reply]) is reply


def test_parts_are_strung_together_and_the_last_value_stays():
    first = {
        "candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}],
        "usageMetadata": {"promptTokenCount": 1},
        "responseId": "r",
    }
    second = {
        "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"content": {"parts": [{"text": "c"}]}, "finishReason": "MAX_TOKENS"},
        ],
        "usageMetadata": {"promptTokenCount": 2},
    }
    third = {"candidates": [{"index": 0}]}
    assert merge([first, second, third]) == {
        "candidates": [
            {
                "index": 0,
                "content": {"role": "model", "parts": [{"text": "a"}]},
                "finishReason": "STOP",
            },
            {
                "index": 1,
                "content": {"role": "model", "parts": [{"text": "b"}, {"text": "c"}]},
                "finishReason": "MAX_TOKENS",
            },
        ],
        "usageMetadata": {"promptTokenCount": 2},
        "responseId": "r",
    }


def test_the_replies_themselves_are_left_as_they_are():
    replies = [{"candidates": [{"content": {"parts": [{"text": "a"}]}}]} for _ in range(2)]
    merge(replies)
    assert replies[0] == replies[1] == {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}


def test_no_candidates_stay_none():
    assert merge([]) == {}
    assert merge([{"promptFeedback": {}}, {"usageMetadata": {}}]) == {
        "promptFeedback": {},
        "usageMetadata": {},
    }


@pytest.mark.parametrize(
    ("candidate", "text"),
    [
        ({}, "a"),
        ({"index": 0}, "a"),
        ({"index": 1}, ""),
        ({"finishReason": "STOP"}, ""),
        ({"index": 0, "safetyRatings": []}, ""),
        ({"content": {"parts": [{"text": "a"}, {"text": "b"}]}}, ""),
        ({"content": {"parts": [{"text": "a", "thought": True}]}}, ""),
        ({"content": {"parts": [{"text": 5}]}}, ""),
        ({"content": {"parts": []}}, ""),
        ({"content": None}, ""),
    ],
)
def test_a_reply_of_nothing_but_text(candidate, text):
    reply = {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, **candidate}]}
    assert only_text(reply) == text


@pytest.mark.parametrize("reply", [{}, {"candidates": []}, {"candidates": [{}, {}]}])
def test_a_reply_of_another_shape_is_no_text(reply):
    assert only_text(reply) == ""
